"""again, as a shell has it."""

import json
from pathlib import Path

import pytest
from PIL import Image
from pnpvideo.cli.main import main

Output = pytest.CaptureFixture[str]


def test_a_result_is_made_again(checkpoint: Path, capsys: Output) -> None:
    Image.new("RGB", (48, 32), (200, 90, 40)).save("in.png")
    small = ["--model", str(checkpoint), "--size", "32", "--steps", "1", "--source-prompt", ""]
    assert main(["translate", "in.png", "a fox", "-o", "out.png", "-q", *small]) == 0
    assert main(["again", "out.png.json", "-q"]) == 0
    assert capsys.readouterr().out == "the same bit for bit\n"
    Image.new("RGB", (48, 32), (20, 90, 40)).save("in.png")
    assert main(["again", "out.png.json", "-o", "new.png"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("not the same\n  the input ") and "wrote new.png" in said.err
    assert main(["again", "out.png.json", "-q", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["same"] is False and record["output"] is None and len(record["differences"]) == 1
    assert main(["translate", "in.png", "a fox", "-o", "b.png", "-q", "--no-sidecar", *small]) == 0
    assert not Path("b.png.json").exists()


def test_what_is_no_sidecar_is_one_line(capsys: Output) -> None:
    Path("a.json").write_text("{}", "utf-8")
    assert main(["again", "a.json"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert "a.json is no sidecar" in said[-1]
    assert main(["again", "nothing.json"]) == 3
