"""tune, as a shell has it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def picture() -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    Image.fromarray(pixels).save("in.png")
    return Path("in.png")


def test_a_still_is_tuned_and_picked(picture: Path, checkpoint: Path, capsys: Output, calls: list[int]) -> None:
    small = ["--model", str(checkpoint), "--size", "32", "--store", "store", "--source-prompt", "a hen", "--steps", "2"]
    words = ["tune", str(picture), "a fox", "--trials", "3", "-o", "tune.json", "--plot", "tune.png", *small]
    assert main(words) == 0
    shown = capsys.readouterr()
    *table, blank, said, flags = shown.out.splitlines()
    assert len(table) == 5 and table[0].startswith("| trial | ") and blank == ""
    assert f"of {sum(calls):,} evaluations in all" in said
    assert flags.startswith("--") and "--guidance " in flags
    assert "wrote tune.json" in shown.err and "wrote tune.png" in shown.err
    assert main(["translate", str(picture), "a fox", *flags.split(), *small, "-o", "flags.png", "-q"]) == 0
    assert main(["translate", "--pick", "tune.json", "-o", "picked.png", "-q"]) == 0
    assert Path("flags.png").read_bytes() == Path("picked.png").read_bytes()
    assert main(words) == 6
    capsys.readouterr()
    assert main([*words, "-y", "-q", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"] in (1, 2, 3)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["in.png"], 2, "PROMPT"),
        (["in.png", "a fox", "--max-structure", "1", "--min-agreement", "2"], 2, "not both"),
        (["no.png", "a fox"], 3, "no.png"),
        (["in.png", "a fox", "-o", "tune.txt"], 6, "accepted: .json"),
        (["in.png", "a fox", "--plot", "tune.csv"], 6, "one picture"),
        (["in.png", "a fox", "--judge", "no/where", "--size", "32"], 4, "no/where"),
    ],
)
def test_what_is_wrong_is_one_clear_error(
    words: list[str], code: int, message: str, picture: Path, capsys: Output
) -> None:
    assert main(["tune", *words, "--store", "store", "--progress", "none"]) == code
    assert message in capsys.readouterr().err
    assert not Path("tune.json").exists()
