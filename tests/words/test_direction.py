"""Directions: built from means, bound to their text encoder, read back, added and scaled."""

import json
import zipfile
from pathlib import Path

import pytest
import torch
from pnpvideo.cli.main import main
from safetensors.torch import save_file

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import InputError, ModelError, OptionError
from pnpvideo.words.direction import FORMAT, Direction, build, load, moved, save, templated
from pnpvideo.words.sentences import Sentences, in_phrase


def sides(first: list[str], second: list[str]) -> tuple[Sentences, Sentences]:
    return Sentences("hen", first, {"said twice": 2}), Sentences("fox", second)


def test_a_direction_is_the_difference_of_means(backend: StableDiffusion) -> None:
    hens, foxes = [f"hen {n}" for n in range(7)], [f"fox {n}" for n in range(5)]
    heard: list[int] = []
    found = build(backend.text, *sides(hens, foxes), done=heard.append, batch=3)
    means = [torch.stack([backend.embed(text) for text in texts]).mean(0) for texts in (hens, foxes)]
    assert torch.allclose(found.delta, means[1] - means[0], atol=1e-5)
    assert heard == [3, 6, 7, 10, 12]
    assert found.counts == {"hen": {"kept": 7, "said twice": 2}, "fox": {"kept": 5}}
    with pytest.raises(OptionError, match="no sentence says 'fox'"):
        build(backend.text, *sides(hens, []))


def test_directions_add_and_scale(backend: StableDiffusion) -> None:
    here, there = (
        Direction(delta=torch.full((20, 16), value), source="a", target="b", encoder="") for value in (1.0, 10.0)
    )
    start = backend.embed("a hen")
    assert torch.allclose(
        moved(backend.text, "a hen", start, [(here, 1.2), (there, -0.5)]), start + 1.2 - 5.0, atol=1e-6
    )
    assert torch.equal(moved(backend.text, "a hen", start, []), start)


def test_a_direction_enters_at_its_word(backend: StableDiffusion) -> None:
    """By hand: a token is a letter here, and the text tower sees only what stands before."""
    hens, foxes = ["a hen sits", "one old hen"], ["a fox sits", "one old fox"]
    built, text = build(backend.text, *sides(hens, foxes)), "the big hen eats"
    assert built.word is not None and built.end is not None
    hen, fox = ([backend.embed(sentence) for sentence in side] for side in (hens, foxes))
    first = (fox[0][2] - hen[0][2] + fox[1][7] - hen[1][7]) / 2  # after the start and "a", and after "oneold"
    assert torch.allclose(built.word[0], first, atol=1e-5)
    later = fox[0][5] - hen[0][5]  # the "s" of "sits": the other sentence has ended
    assert torch.allclose(built.word[3], later, atol=1e-5)
    last = (fox[0][9] - hen[0][9] + fox[1][10] - hen[1][10]) / 2
    assert torch.allclose(built.end[0], last, atol=1e-5)
    plain = backend.embed(text)
    found, published = (moved(backend.text, text, plain, [(built, 2.0)], where) - plain for where in ("word", "start"))
    assert torch.allclose(published, 2 * built.delta, atol=1e-5)
    assert found[:7].abs().max() == 0 and torch.allclose(found[7], 2 * first, atol=1e-5)  # after "thebig"
    assert torch.allclose(found[14], 2 * last, atol=1e-5)  # the end of twelve more letters
    other = moved(backend.text, "a cow", backend.embed("a cow"), [(built, 1.0)]) - backend.embed("a cow")
    assert torch.allclose(other, built.delta, atol=1e-5)  # where the word is not said


def test_at_its_word_a_direction_is_nearer_to_the_word_itself() -> None:
    backend = StableDiffusion("miniature", torch.device("cpu"), torch.float32)
    caption, wanted = "a cartoon of a red ball on grass at sunset", "a cartoon of a blue ball on grass at sunset"
    concepts, plain = in_phrase(caption, "red", "blue"), backend.embed(caption)
    assert concepts == ("red ball", "blue ball")
    built = templated(backend.text, *concepts)
    published = templated(backend.text, "red", "blue")
    off = {
        where: float((moved(backend.text, caption, plain, [(which, 1.0)], where) - backend.embed(wanted)).norm())
        for where, which in (("word", built), ("start", published))
    }
    nothing = float((plain - backend.embed(wanted)).norm())
    assert off["word"] < 0.9 * off["start"] and off["start"] < 0.5 * nothing, (off, nothing)


def test_a_file_says_whose_it_is(backend: StableDiffusion, tmp_path: Path) -> None:
    built, path = templated(backend.text, "hen", "fox"), tmp_path / "hen2fox.safetensors"
    save(built, path)
    again = load(path)
    assert torch.equal(again.delta, built.delta)
    assert again.word is not None and built.word is not None and torch.equal(again.word, built.word)
    assert (again.source, again.target, again.encoder, again.counts) == (
        built.source,
        built.target,
        built.encoder,
        built.counts,
    )
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    again.check(backend.text.fingerprint, (20, 16))
    with pytest.raises(ModelError, match="another text encoder"):
        again.check("other", (20, 16))
    with pytest.raises(ModelError, match="has 20 tokens of width 16, this model's text has 77 of 128"):
        again.check(backend.text.fingerprint, (77, 128))


def test_a_direction_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every text in the file is somebody else's."""
    path, escape = tmp_path / "a\x1b[31m2b.safetensors", "\x1b[31m\u202e"
    counts = {escape: {"kept": 1, escape: 2}}
    about = {"source": escape, "target": escape, "encoder": escape, "counts": json.dumps(counts)}
    save_file({"delta": torch.zeros(3, 2)}, path, {"format": FORMAT, **about})
    for arguments in (["direction", "show", str(path)], ["direction", "show", str(path), "--json"]):
        assert main(arguments) == 0
    save_file({"delta": torch.zeros(3, 2)}, path, {"format": escape, **about})
    assert main(["direction", "show", str(path)]) == 3
    torch.save(torch.zeros(3, 2), path)
    assert main(["direction", "show", str(path)]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "\u202e" not in said.out + said.err and "31m" in said.out


@pytest.mark.parametrize("counts", ['{"a": {"kept": "\x1b"}}', '{"a": {}}', "[]", "[" * 100_000, '{"a": [1]}', "x"])
def test_damaged_counts_are_refused(counts: str, tmp_path: Path) -> None:
    about = {"format": FORMAT, "source": "a", "target": "b", "encoder": "", "counts": counts}
    save_file({"delta": torch.zeros(3, 2)}, tmp_path / "d.safetensors", about)
    with pytest.raises(InputError, match=r"d\.safetensors"):
        load(tmp_path / "d.safetensors")


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64, torch.bool])
def test_a_direction_is_of_real_numbers(dtype: torch.dtype, tmp_path: Path) -> None:
    about = {"format": FORMAT, "source": "a", "target": "b", "encoder": "", "counts": "{}"}
    save_file({"delta": torch.zeros(3, 2, dtype=dtype)}, tmp_path / "d.safetensors", about)
    with pytest.raises(InputError, match=r"not of floating-point numbers|cannot be read"):
        load(tmp_path / "d.safetensors")


def test_the_reference_projects_tensors_are_read(tmp_path: Path) -> None:
    tensor = torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(0))
    torch.save(tensor.half(), tmp_path / "cat2dog.pt")
    found = load(tmp_path / "cat2dog.pt")
    assert (found.source, found.target, found.encoder) == ("cat", "dog", "")
    assert torch.equal(found.delta, tensor[0].half().float())
    found.check("whichever", (77, 768))


@pytest.mark.parametrize(
    "kind", ["code", "dict", "shape", "infinite", "text", "none", "other", "half", "compressed", "several disks"]
)
def test_what_is_no_direction_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "d.pt"
    if kind == "code":

        class Harm:
            def __reduce__(self) -> tuple:
                return Path.touch, (tmp_path / "harmed",)

        torch.save(Harm(), path)
    elif kind == "dict":
        torch.save({"a": torch.zeros(2)}, path)
    elif kind == "shape":
        torch.save(torch.zeros(3, 77, 768), path)
    elif kind == "infinite":
        torch.save(torch.full((1, 77, 768), float("inf")), path)
    elif kind == "text":
        path.write_text("no direction")
    elif kind == "compressed":
        torch.save(torch.zeros(1, 77, 768), tmp_path / "plain.pt")
        with (
            zipfile.ZipFile(tmp_path / "plain.pt") as plain,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for name in plain.namelist():
                packed.writestr(name, plain.read(name))
    elif kind == "several disks":
        torch.save(torch.zeros(1, 77, 768), path)
        content = path.read_bytes()
        place = content.rindex(b"PK\x06\x07")  # where the archive says of how many disks it is
        path.write_bytes(content[: place + 16] + b"\x07" + content[place + 17 :])
    elif kind == "other":
        save_file({"direction": torch.zeros(2, 2)}, path)
    elif kind == "half":
        save_file({"other": torch.zeros(2, 2)}, path, metadata={"format": "pnpvideo direction 1"})
    with pytest.raises(InputError, match=r"d\.pt"):
        load(path)
    assert not (tmp_path / "harmed").exists()


def test_a_url_is_no_direction() -> None:
    with pytest.raises(InputError, match=r"https://example\.com/a\.pt is a URL; only local files are read"):
        load(Path("https://example.com/a.pt"))
