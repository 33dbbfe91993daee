"""preview and --pick, as a shell has them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main

from .conftest import Engine

Output = pytest.CaptureFixture[str]
CELLS = {
    "format": "pnpvideo cells 1",
    "input": "/clips/wolf.mp4",
    "input_sha256": None,
    "cells": [
        {"number": 1, "prompt": "a fox", "dials": {}, "options": {"guidance": 2.0, "preset": "draft", "seed": 4}},
        {"number": 2, "prompt": "a cow", "dials": {}, "options": {"guidance": 4.0, "steps": 7}},
        {"number": 3, "prompt": None, "dials": {}, "options": {"method": "pnp", "change": ["ball", "cube"]}},
    ],
}


@pytest.fixture
def sheet() -> None:
    Path("s.json").write_text(json.dumps(CELLS))


@pytest.mark.usefixtures("sheet")
def test_a_pick_gives_input_prompt_and_options(engine: Engine) -> None:
    assert main(["translate", "--pick", "s.png#1", "-o", "out.mp4", "-q"]) == 0
    ((source, prompt, _, options),) = engine.calls
    assert (source, prompt) == (Path("/clips/wolf.mp4"), "a fox")
    assert (options.sampling.guidance, options.sampling.preset, options.sampling.seed) == (2.0, "draft", 4)
    assert options.origins["guidance"] == "pick s.png#1"


@pytest.mark.usefixtures("sheet")
def test_a_pick_stands_between_variables_and_files(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own.toml").write_text("guidance = 9\nseed = 9\nwindow = 9\npreset = 'best'\nnegative = 'grey'\n")
    monkeypatch.setenv("PNPVIDEO_SEED", "5")
    words = ["translate", "b.mp4", "a hen", "--pick", "s.png#1", "--preset", "balanced", "--config", "own.toml"]
    assert main([*words, "-o", "out.mp4", "-q"]) == 0
    ((source, prompt, _, options),) = engine.calls
    assert (source, prompt) == (Path("b.mp4"), "a hen")
    flat = options.flat()
    names = ("guidance", "seed", "window", "preset", "negative")
    assert {name: flat[name] for name in names} == {
        "guidance": 2.0,
        "seed": 5,
        "window": 9,
        "preset": "balanced",
        "negative": "grey",
    }
    assert [options.origins[name] for name in names] == [
        "pick s.png#1",
        "variable PNPVIDEO_SEED",
        "own.toml",
        "flag",
        "own.toml",
    ]


@pytest.mark.usefixtures("sheet")
def test_an_edit_takes_its_change_and_method_from_a_pick(engine: Engine, capsys: Output) -> None:
    assert main(["edit", "--pick", "s.json#3", "-o", "out.mp4", "-q"]) == 0
    assert main(["translate", "b.mp4", "--pick", "s.json#3", "-o", "out.mp4", "-q"]) == 0
    words = ["edit", "b.mp4", "--pick", "s.json#3", "--from", "ball", "--to", "tree", "--method", "flowedit"]
    assert main([*words, "-o", "out.mp4", "-q"]) == 0
    first, second, third = engine.calls
    assert first[1] is None and first[3].prompts.change == ("ball", "cube") == second[3].prompts.change
    assert first[3].flat()["method"] == second[3].flat()["method"] == "pnp"
    assert third[3].prompts.change == ("ball", "tree") and third[3].flat()["method"] == "flowedit"
    assert main(["edit", "b.mp4", "--pick", "s.json#1", "-o", "out.mp4"]) == 2
    assert "use: pnpvideo translate --pick s.json#1" in capsys.readouterr().err


@pytest.mark.usefixtures("sheet")
def test_another_input_than_the_sheets_is_said(engine: Engine, capsys: Output) -> None:
    Path("b.mp4").write_bytes(b"")
    assert main(["translate", "b.mp4", "--pick", "s.png#2", "-o", "out.mp4"]) == 0
    assert "b.mp4 is not the file that s.png#2 was made from, /clips/wolf.mp4" in capsys.readouterr().err
    assert main(["translate", "--pick", "s.png#2", "-o", "out.mp4"]) == 0
    assert "is not the file" not in capsys.readouterr().err


@pytest.mark.usefixtures("sheet")
def test_explain_names_the_pick(capsys: Output) -> None:
    assert main(["translate", "b.mp4", "--pick", "s.png#2", "--explain"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["steps"].split(maxsplit=2)[1:] == ["7", "pick s.png#2"]


@pytest.mark.usefixtures("sheet")
@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("s.png#9", 2, "there is no cell '9'; accepted: 1 to 3"),
        ("s.png", 2, "names no cell"),
        ("t.png#1", 3, "t.json is not there"),
        ("foreign.json", 3, "foreign.json holds no cells"),
    ],
)
def test_a_pick_that_is_none_is_one_clear_error(name: str, code: int, message: str, capsys: Output) -> None:
    Path("foreign.json").write_text('{"cells": []}')
    assert main(["translate", "b.mp4", "--pick", name, "-o", "out.mp4"]) == code
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_without_a_pick_input_and_prompt_are_needed(capsys: Output) -> None:
    assert main(["translate", "b.mp4", "-o", "out.mp4"]) == 2
    assert "give INPUT and PROMPT" in capsys.readouterr().err
    assert main(["edit", "--from", "a", "--to", "b", "-o", "out.mp4"]) == 2
    assert "Missing argument 'INPUT'" in capsys.readouterr().err


@pytest.fixture
def picture() -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    Image.fromarray(pixels).save("in.png")
    return Path("in.png")


def test_a_still_is_previewed_picked_and_translated(
    picture: Path, checkpoint: Path, capsys: Output, calls: list[int]
) -> None:
    small = ["--model", str(checkpoint), "--size", "32", "--store", "store", "--source-prompt", "a hen"]
    dials = ["--grid", "guidance=1,3", "--grid", "attention-until=.2,.9", "--steps", "2"]
    words = ["preview", str(picture), "a fox", "-o", "s.png", *dials, *small, "--cells", "cells", "--json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "wrote s.png and s.json" in shown.err
    found = json.loads(shown.out)
    assert found == json.loads(Path("s.json").read_text()) and len(found["cells"]) == 4
    assert found["cells"][1]["options"]["guidance"] == 3.0
    assert sum(cell["evaluations"] for cell in found["cells"]) == sum(calls)
    calls.clear()
    assert main(["translate", str(picture), "--pick", "s.png#2", "-o", "out.png", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["prompt"] == "a fox" and report["origins"]["attention_until"] == "pick s.png#2"
    assert calls == []
    with Image.open("out.png") as written, Image.open("cells/cell-2-frame-0.png") as cell:
        assert np.array_equal(np.asarray(written), np.asarray(cell))
    assert main(words) == 6
    assert "s.png exists" in capsys.readouterr().err
    assert main([*words, "-y", "-q"]) == 0


def test_an_edit_is_previewed_by_method(picture: Path, checkpoint: Path, capsys: Output) -> None:
    small = [
        "--model",
        str(checkpoint),
        "--size",
        "32",
        "--store",
        "store",
        "--source-prompt",
        "a ball",
        "--steps",
        "1",
    ]
    words = ["preview", str(picture), "--from", "ball", "--to", "hen", "-o", "s.png", *small, "-q"]
    assert main([*words, "--grid", "method=pix2pix-zero,pnp"]) == 0
    cells = json.loads(Path("s.json").read_text())["cells"]
    assert [cell["options"]["method"] for cell in cells] == ["pix2pix-zero", "pnp"]
    assert all(cell["prompt"] is None and cell["options"]["change"] == ["ball", "hen"] for cell in cells)
    assert main(["edit", str(picture), "--pick", "s.png#2", "-o", "out.png", "-q"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["in.png", "a fox", "--grid", "gain=3"], 2, "no option 'gain'"),
        (["in.png", "a fox", "--grid", "guidance=1", "--grid", "seed=1", "--grid", "steps=1"], 2, "up to 2"),
        (["in.png", "a fox", "--at", "soon"], 2, "accepted is a frame's number"),
        (["in.png", "a fox", "--from", "a", "--to", "b"], 2, "not both"),
        (["in.png"], 2, "give --from and --to"),
        (["no.png", "a fox"], 3, "no.png"),
        (["in.png", "a (fox:900)"], 2, "weight"),
        (["in.png", "a fox", "--grid", "model=no/where"], 4, "no/where"),
        (["in.png", "a fox", "-o", "s.mp4"], 6, "it is one picture"),
        (["in.png", "a fox", "--at", "3"], 2, "at is 3"),
    ],
)
def test_what_is_wrong_is_one_clear_error(
    words: list[str], code: int, message: str, picture: Path, capsys: Output
) -> None:
    output = [] if "-o" in words else ["-o", "s.png"]
    assert main(["preview", *words, *output, "--progress", "none"]) == code
    assert message in capsys.readouterr().err
    assert not Path("s.png").exists() and not Path("s.json").exists()


def test_preview_is_quick_to_refuse(picture: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is found before any picture is read."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a picture was read")

    monkeypatch.setattr("pnpvideo.video.read.read", never)
    done: Callable[[list[str]], int] = main
    Path("s.json").write_text("{}")
    assert done(["preview", "in.png", "a fox", "-o", "s.png"]) == 6
    assert "s.json exists" in capsys.readouterr().err
