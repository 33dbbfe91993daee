"""Pillow's exceptions and its libraries' messages."""

import warnings
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from pnpvideo.errors import DecodeError, InputError, OptionError
from pnpvideo.events import Event, Notice
from pnpvideo.video.pillow_reader import FileWarnings, open_image, pillow_errors


def test_each_warning_is_reported_once_for_all_files_and_made_printable() -> None:
    events: list[Event] = []
    file_warnings = FileWarnings(events.append)
    file_warnings.about(Path("a\n.png"))("it is \x1b[2J grey")
    file_warnings.about(Path("b.png"))("it is \x1b[2J grey")
    assert events == [Notice(message="a\\n.png: it is \\x1b[2J grey")]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("odd\x07 value"), DecodeError, r"a\.png is damaged and cannot be read: odd\\x07 value"),
        (KeyError(), DecodeError, r"a\.png is damaged and cannot be read: KeyError"),
        (UnidentifiedImageError("x"), DecodeError, "its header makes no sense"),
        (Image.DecompressionBombError("large"), InputError, "accepted are pictures of up to"),
        (OptionError("ours"), OptionError, "ours"),
    ],
)
def test_whatever_is_raised_becomes_one_of_our_errors(error: Exception, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message), pillow_errors("a.png", lambda text: None):
        raise error


def test_warnings_come_when_the_block_has_ended() -> None:
    texts: list[str] = []
    with pillow_errors("a.png", texts.append) as warn_later:
        warn_later("first")
        warnings.warn("corrupt data", UserWarning, stacklevel=1)
        warnings.warn("Palette images with Transparency expressed in bytes", UserWarning, stacklevel=1)
        assert texts == []
    assert texts == ["first", "its reader says: corrupt data"]


def test_a_picture_beyond_the_limit_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (10, 10)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    with open_image(content, "PNG", "a.png") as image:
        assert image.size == (10, 10)
    monkeypatch.setattr("pnpvideo.video.pillow_reader.MAX_PIXELS", 99)
    with pytest.raises(InputError, match=r"a\.png is 10x10; accepted are up to 99 pixels"):
        open_image(tmp_path / "a.png", "PNG", "a.png")
