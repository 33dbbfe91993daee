"""pnpvideo compare on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main

Output = pytest.CaptureFixture[str]
SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def stills(tmp_path: Path) -> list[str]:
    for name, grey in (("a.png", 60), ("b.png", 200)):
        Image.fromarray(np.full((24, 32, 3), grey, np.uint8)).save(tmp_path / name)
    return [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


def test_a_page_is_written_and_its_facts_are_printed(stills: list[str], tmp_path: Path, capsys: Output) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", *stills, "-o", str(page), "--json", "--width", "16"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"output": str(page), "bytes": page.stat().st_size, "moments": 1}
    assert "a.png is 32 x 24, shown at 16 x 12" in said.err and f"wrote {page}" in said.err


def test_another_name_makes_one_clip(stills: list[str], tmp_path: Path, capsys: Output) -> None:
    assert main(["compare", *stills, "-o", str(tmp_path / "side.png")]) == 0
    with Image.open(tmp_path / "side.png") as side:
        assert side.width == 32 + 8 + 32
    assert main(["compare", *stills, "-o", str(tmp_path / "side.png")]) == 6
    assert "replace it: -y" in capsys.readouterr().err
    assert main(["compare", *stills, "-o", str(tmp_path / "side.png"), "-y", "-q"]) == 0


def test_a_span_and_a_report_are_taken(tmp_path: Path) -> None:
    clip, page, report = str(SAMPLES / "ball.mp4"), tmp_path / "page.html", tmp_path / "run.json"
    report.write_text(json.dumps({"prompt": "a photo of a moose", "options": {}}), "utf-8")
    assert main(["compare", clip, clip, "-o", str(page), "--frames", "2:4", "--report", str(report), "-q"]) == 0
    text = page.read_text("utf-8")
    assert '"frames": [2, 3]' in text and "a photo of a moose" in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "page.html"], 2, "Missing argument 'RESULT...'"),
        (["b.png", "-o", "page.html", "--width", "3"], 2, "width is 3; accepted is a whole number from 16"),
        (["b.png", "-o", "side.png", "--report", "b.png"], 2, "--report is for pages"),
        (["b.png", "-o", "side.png", "--prompt", "a"], 2, "write a page"),
        (["b.png", "-o", "page.html", "--judge", "miniature"], 2, "give one with --prompt"),
        (["b.png", "-o", "page.html", "--report", "b.png"], 3, "is no report of a run"),
        (["nothing.mp4", "-o", "page.html"], 3, "nothing.mp4 does not exist"),
        (["b.png", "-o", "page.pdf"], 6, "cannot write .pdf"),
        (["b.png", "-o", "page.html", "--prompt", "a", "--judge", "nobody"], 4, "nobody"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    stills: list[str],
    tmp_path: Path,
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "a.png", *words]) == code
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "here") == ["a.png", "b.png"]
