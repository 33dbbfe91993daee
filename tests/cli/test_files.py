"""pnpvideo translate on inputs and outputs that it must refuse, before it looks at any model.

The model that is named does not exist: whatever got as far as loading it would exit with 4.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def picture() -> Path:
    path = Path("in.png")
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(path)
    return path


def translate(source: str | Path, output: str | Path, *flags: str) -> int:
    return main(
        [
            "translate",
            "-o",
            str(output),
            "--model",
            str(Path("no model").absolute()),
            *flags,
            "--",
            str(source),
            "a prompt",
        ]
    )


def only_line(capsys: Output) -> str:
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("pnpvideo: ") and said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 100, b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_what_is_no_video_is_bad_input(capsys: Output, content: bytes) -> None:
    Path("clip.mp4").write_bytes(content)
    assert translate("clip.mp4", "out.mp4") == 3
    assert "clip.mp4" in only_line(capsys)
    assert os.listdir() == ["clip.mp4"]


@pytest.mark.parametrize("name", ["missing.mp4", "-i.mp4", "--help.mp4", "$(touch x);.mp4", "http://127.0.0.1:9/a.mp4"])
def test_a_missing_input_is_bad_input_whatever_its_name(capsys: Output, name: str) -> None:
    assert translate(name, "out.mp4") == 3
    assert ("is a URL" if "127" in name else "does not exist") in only_line(capsys)
    assert os.listdir() == []


@pytest.mark.parametrize("kind", ["the same name", "another spelling", "a hard link", "a symbolic link"])
def test_an_output_that_is_the_input_is_refused_even_with_overwrite(picture: Path, capsys: Output, kind: str) -> None:
    before = picture.read_bytes()
    output = {"the same name": "in.png", "another spelling": f"../{Path.cwd().name}/in.png"}.get(kind, "link.png")
    if kind == "a hard link":
        os.link(picture, output)
    elif kind == "a symbolic link":
        os.symlink(picture, output)
    assert translate(picture, output, "--overwrite") == 6
    assert "is the input" in only_line(capsys)
    assert picture.read_bytes() == before


def test_an_output_that_exists_is_kept_unless_told_otherwise(picture: Path, capsys: Output) -> None:
    Path("out.png").write_text("precious")
    assert translate(picture, "out.png") == 6
    said = only_line(capsys)
    assert "exists" in said and "-y" in said
    assert translate(picture, "out.png", "-y") == 4, "with -y the next thing to fail is the model"
    assert "no model" in only_line(capsys)
    assert Path("out.png").read_text() == "precious"
    assert sorted(os.listdir()) == ["in.png", "out.png"]


def test_a_slash_at_the_end_says_that_the_output_is_a_folder(picture: Path, capsys: Output) -> None:
    assert translate(picture, "frames.v2") == 6 and "cannot write .v2" in only_line(capsys)
    assert translate(picture, "frames.v2/") == 4, "the next thing to fail is the model"
    capsys.readouterr()
    words = ["edit", str(picture), "--from", "a", "--to", "b", "--model", str(Path("no model").absolute())]
    assert main([*words, "-o", "frames.v2/"]) == 4


def test_the_current_folder_is_no_output(picture: Path, capsys: Output) -> None:
    assert translate(picture.absolute(), ".") == 6
    assert "is the current folder, which cannot be replaced" in only_line(capsys)


@pytest.mark.parametrize("output", ["missing/out.png", "out.xyz", "in.png/out.png"])
def test_an_output_that_cannot_be_written_is_refused(picture: Path, capsys: Output, output: str) -> None:
    assert translate(picture, output) == 6
    assert "out" in only_line(capsys)


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["translate", "a.png", "a fox", "-o", "shut/o.png"], 6, "shut/o.png cannot be written: Permission denied"),
        (["translate", "a.png", "a fox", "-o", "shut/out/o.png"], 6, "shut/out/o.png cannot be written"),
        (["translate", "shut", "a fox", "-o", "o.png"], 3, "the folder shut cannot be read: Permission denied"),
        (["compare", "a.png", "a.png", "-o", "shut/a.html"], 6, "shut/a.html cannot be written"),
        (
            ["preview", "a.png", "a fox", "--grid", "guidance=1,2", "-o", "shut/a.png"],
            6,
            "shut/a.png cannot be written",
        ),
        (["store", "list", "--store", "shut/s"], 1, "the store in shut/s cannot be read: Permission denied"),
        (["store", "clear", "--store", "shut/s"], 1, "the store in shut/s cannot be read: Permission denied"),
    ],
)
def test_a_folder_that_may_not_be_entered_is_named(
    words: list[str],
    status: int,
    complaint: str,
    as_user: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (48, 32), "red").save("a.png")
    Path("shut").mkdir(mode=0)
    done = as_user(*words)
    assert done.returncode == status and complaint in done.stderr, done.stderr
