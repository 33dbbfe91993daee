"""pnpvideo inspect: what it writes, and what it refuses before anything is loaded."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main
from safetensors import safe_open

QUICK = ["--size", "64", "--steps", "2", "--device", "cpu", "--source-prompt", "a red cube", "--tile", "64", "-q"]


@pytest.fixture
def still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PNPVIDEO_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    pixels = np.full((64, 64, 3), (150, 200, 235), np.uint8)
    pixels[24:44, 20:40] = (220, 60, 50)
    Image.fromarray(pixels).save(tmp_path / "still.png")
    return tmp_path / "still.png"


@pytest.mark.parametrize(
    ("command", "options", "name", "rank"),
    [
        ("features", ["--layers", "7"], "0/up_blocks.2.resnets.1.conv2/level-2", 4),
        ("attention", ["--layers", "7"], "0/up_blocks.2.attentions.1.transformer_blocks.0.attn1/level-2", 3),
        ("attention", ["--layers", "7", "--query", "0.4,0.5"], None, 3),
        ("words", ["--by-step", "--cells", "4"], "0/0/source", 4),
        ("words", ["--prompt", "a blue ball", "--cells", "4"], "0/0/positive", 4),
        ("flow", ["--pictures", "3"], "0/up_blocks.3.attentions.2.transformer_blocks.0.attn1/level-1", 3),
    ],
)
def test_a_sheet_its_numbers_and_the_tensors_are_written(
    command: str,
    options: list[str],
    name: str | None,
    rank: int,
    still: Path,
    clip_of: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = clip_of(3, 64, 64) if command == "flow" else still
    sheet, raw = still.with_name("sheet.png"), still.with_name("raw.safetensors")
    arguments = ["inspect", command, str(source), *options, *QUICK, "--raw", str(raw), "-o", str(sheet), "--json"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err == ""
    facts = json.loads(sheet.with_suffix(".json").read_text("utf-8"))
    assert json.loads(said.out) == facts
    assert facts["shows"] == command and facts["steps"] == 2
    with Image.open(sheet) as drawn:
        assert drawn.format == "PNG" and np.asarray(drawn).std() > 10
    with safe_open(raw, "pt") as tensors:
        assert json.loads(tensors.metadata()["inspect"]) == facts
        assert name is None or tensors.get_tensor(name).ndim == rank
    assert main(arguments) == 6
    assert "sheet.png exists; name another output, or replace it: -y" in capsys.readouterr().err
    assert sorted(path.name for path in still.parent.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("command", "name", "shape"),
    [
        ("features", "0/transformer_blocks.1.ff/level-1", (1, 16, 2, 2)),
        ("attention", "0/transformer_blocks.1.attn/level-1", (1, 4, 4)),
        ("flow", "0/transformer_blocks.2.attn/level-1", (1, 2, 4)),
    ],
)
def test_stable_diffusion_3_is_looked_into(
    command: str,
    name: str,
    shape: tuple[int, ...],
    still: Path,
    clip_of: Callable[..., Path],
    joint_checkpoint: Path,
) -> None:
    source = clip_of(3, 64, 64) if command == "flow" else still
    sheet, raw = still.with_name("sheet.png"), still.with_name("raw.safetensors")
    model = ["--model", str(joint_checkpoint), "--size", "32", "--steps", "2", "--device", "cpu", "--progress", "none"]
    shown = ["--raw", str(raw), "-o", str(sheet), "--part", "transformer", "--source-prompt", "a hen"]
    frames = ["--pictures", "3"] if command == "flow" else []
    assert main(["inspect", command, str(source), *frames, *model, *shown]) == 0
    with safe_open(raw, "pt") as tensors:
        assert tensors.get_tensor(name).shape == shape


def test_other_kinds_of_pictures(still: Path) -> None:
    sheet = still.with_name("sheet.webp")
    assert main(["inspect", "words", str(still), *QUICK, "-o", str(sheet)]) == 0
    with Image.open(sheet) as drawn:
        assert drawn.format == "WEBP"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["features", "STILL", "-o", "sheet.mp4"], 6, "sheet.mp4 is no picture; accepted: .png, .jpg, .jpeg, .webp"),
        (["features", "STILL", "-o", "sheet.png", "--raw", "x.pt"], 6, "x.pt is no file of tensors"),
        (["features", "STILL", "-o", "no/sheet.png"], 6, "does not exist"),
        (["features", "STILL", "-o", "STILL", "-y"], 6, "still.png is an input itself"),
        (["features", "none.mp4", "-o", "sheet.png"], 3, "none.mp4"),
        (
            ["features", "STILL", "-o", "sheet.png", "--layers", "a"],
            2,
            "accepted are one or more whole numbers",
        ),
        (["attention", "STILL", "-o", "sheet.png", "--query", "1"], 2, "accepted are 2 numbers with commas"),
        (["words", "STILL", "-o", "sheet.png", "--from", "ball"], 2, "give --from and --to together"),
        (["features", "STILL", "-o", "sheet.png", "--model", "./none"], 4, "none"),
        (["features", "STILL", "-o", "sheet.png", "--layers", "40"], 4, "no residual site in the decoder, layers [40]"),
        (["features", "STILL", "-o", "sheet.png", "--at", "3"], 2, "there is no frame 3 in"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str],
    code: int,
    said: str,
    still: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(still.parent)
    words = [str(still) if argument == "STILL" else argument for argument in arguments]
    assert main(["inspect", *words, *QUICK[:-1], "--progress", "none"]) == code
    complaint = capsys.readouterr().err
    assert said in complaint
    assert code == 2 or len(complaint.splitlines()) == 1
    assert sorted(path.name for path in still.parent.iterdir() if path.is_file()) == ["still.png"]
