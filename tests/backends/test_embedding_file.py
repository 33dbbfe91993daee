"""Files of textual inversions: what a header says, and what is refused in one line."""

import pickle
import shlex
from pathlib import Path

import pytest
import torch
from pnpvideo.cli.main import main
from safetensors.torch import load_file

from pnpvideo.backends.embedding_file import CONVERSION, EmbeddingFile, embeddings_of
from pnpvideo.errors import ModelError
from tests.backends.originals import WIDTH, Tensors, write_single


@pytest.mark.parametrize(
    ("tensors", "stated", "word", "vectors", "widths"),
    [
        ({"emb_params": torch.zeros(3, 768)}, "", "ink", 3, [768]),
        ({"emb_params": torch.zeros(3, 768)}, "wash", "wash", 3, [768]),
        ({"<ink-wash>": torch.zeros(1024)}, "", "<ink-wash>", 1, [1024]),
        ({"<ink-wash>": torch.zeros(2, 1024)}, "wash", "wash", 2, [1024]),
        ({"clip_g": torch.zeros(2, 1280), "clip_l": torch.zeros(2, 768)}, "", "ink", 2, [768, 1280]),
    ],
)
def test_a_header_says_the_word_and_the_family(
    tensors: Tensors, stated: str, word: str, vectors: int, widths: list[int], tmp_path: Path
) -> None:
    found = EmbeddingFile.of(write_single(tmp_path / "ink.safetensors", tensors), stated)
    assert (found.word, found.vectors, [*found.widths.values()]) == (word, vectors, widths)
    families = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x"}
    assert found.family == ("Stable Diffusion XL" if len(widths) == 2 else families[widths[0]])


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"emb_params": torch.zeros(76, 768)}, "holds 76 vectors; accepted are 1 to 75"),
        ({"clip_g": torch.zeros(2, 8), "clip_l": torch.zeros(3, 8)}, "holds 2 and 3 vectors"),
        ({"a": torch.zeros(2, 8), "b": torch.zeros(3, 8)}, "accepted for --embedding"),
        ({"encoder.conv_in.weight": torch.zeros(4, 4, 3, 3)}, "accepted for --embedding"),
        ({"lora_unet_x.lora_down.weight": torch.zeros(4, 4)}, "is a LoRA.*accepted for --embedding"),
    ],
)
def test_what_is_no_embedding_is_refused(tensors: Tensors, says: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=says) as refused:
        EmbeddingFile.of(write_single(tmp_path / "e.safetensors", tensors))
    assert len(str(refused.value).splitlines()) == 1


def test_two_embeddings_need_two_words(tmp_path: Path) -> None:
    paths = [write_single(tmp_path / name, {"emb_params": torch.zeros(1, 8)}) for name in ("a.safetensors", "b")]
    assert [each.word for each in embeddings_of([(str(paths[0]), ""), (str(paths[1]), "")])] == ["a", "b"]
    with pytest.raises(ModelError, match="both add the word 'A'"):
        embeddings_of([(str(paths[0]), ""), (str(paths[1]), "A")])


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"PK\x03\x04", b"\xff" * 64])
def test_a_damaged_or_pickled_embedding_is_exit_4(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.pt"
    path.write_bytes(content)
    output = tmp_path / "o.mp4"
    assert main(["translate", "samples/cut.mp4", "a fox", "-o", str(output), "--embedding", str(path)]) == 4
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1 and "e.pt" in said and not output.exists()


@pytest.mark.parametrize("model", ["1.x", "XL"])
def test_an_embedding_of_another_width_is_one_line_and_exit_4(
    model: str, folders_of_families: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_single(tmp_path / "ink.safetensors", {"emb_params": torch.zeros(2, 768)})
    arguments = ["translate", "samples/cut.mp4", "a fox", "-o", str(tmp_path / "o.mp4"), "--quiet", "--model"]
    assert main([*arguments, str(folders_of_families[model]), "--embedding", str(path)]) == 4
    said = capfd.readouterr().err
    needed = f"{WIDTH} and {WIDTH}" if model == "XL" else str(WIDTH)
    assert "for Stable Diffusion 1.x, of width 768" in said and f"words of width {needed};" in said
    assert len(said.splitlines()) == 1 and not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize(
    ("saved", "name"),
    [
        ({"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 8)}}, "emb_params"),
        ({"<ink>": torch.ones(8)}, "<ink>"),
    ],
)
def test_a_pickle_is_never_opened_and_the_line_converts_it(
    saved: dict[str, object], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(saved, tmp_path / "IN.pt")

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was opened")

    with monkeypatch.context() as patch:
        patch.setattr(pickle, "Unpickler", opened)
        with pytest.raises(ModelError, match="never opened") as refused:
            EmbeddingFile.of(tmp_path / "IN.pt")
    assert CONVERSION in str(refused.value)
    monkeypatch.chdir(tmp_path)
    exec(shlex.split(CONVERSION)[2])
    found = load_file("OUT.safetensors")
    assert list(found) == [name] and bool((found[name] == 1).all())
    assert EmbeddingFile.of(tmp_path / "OUT.safetensors").tensors == {"text_encoder": name}
