"""Files of directions: what is written is read back, and what is no direction is refused."""

import json
import zipfile
from pathlib import Path

import pytest
import torch
from pnpvideo.cli.main import main
from safetensors.torch import save_file

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import InputError, ModelError
from pnpvideo.words.direction import direction_from_templates
from pnpvideo.words.direction_file import FORMAT, load_direction, save_direction


def test_a_file_says_whose_it_is(backend: StableDiffusion, tmp_path: Path) -> None:
    built, path = direction_from_templates(backend.text, "hen", "fox"), tmp_path / "hen2fox.safetensors"
    save_direction(built, path)
    again = load_direction(path)
    assert torch.equal(again.delta, built.delta)
    assert again.word is not None and built.word is not None and torch.equal(again.word, built.word)
    assert (again.source, again.target, again.encoder, again.counts) == (
        built.source,
        built.target,
        built.encoder,
        built.counts,
    )
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    again.check_encoder(backend.text.fingerprint, (20, 16))
    with pytest.raises(ModelError, match="another text encoder"):
        again.check_encoder("other", (20, 16))
    with pytest.raises(ModelError, match="has 20 tokens of width 16, this model's text has 77 of 128"):
        again.check_encoder(backend.text.fingerprint, (77, 128))


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
        load_direction(tmp_path / "d.safetensors")


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64, torch.bool])
def test_a_direction_is_of_real_numbers(dtype: torch.dtype, tmp_path: Path) -> None:
    about = {"format": FORMAT, "source": "a", "target": "b", "encoder": "", "counts": "{}"}
    save_file({"delta": torch.zeros(3, 2, dtype=dtype)}, tmp_path / "d.safetensors", about)
    with pytest.raises(InputError, match=r"not of floating-point numbers|cannot be read"):
        load_direction(tmp_path / "d.safetensors")


def test_the_reference_projects_tensors_are_read(tmp_path: Path) -> None:
    tensor = torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(0))
    torch.save(tensor.half(), tmp_path / "cat2dog.pt")
    found = load_direction(tmp_path / "cat2dog.pt")
    assert (found.source, found.target, found.encoder) == ("cat", "dog", "")
    assert torch.equal(found.delta, tensor[0].half().float())
    found.check_encoder("whichever", (77, 768))


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
        load_direction(path)
    assert not (tmp_path / "harmed").exists()


def test_a_url_is_no_direction() -> None:
    with pytest.raises(InputError, match=r"https://example\.com/a\.pt is a URL; only local files are read"):
        load_direction(Path("https://example.com/a.pt"))
