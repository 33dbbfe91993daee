"""GIFs on one canvas, as browsers show them: expected pixels are written out."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Event
from pnpvideo.video.gif import parse
from pnpvideo.video.read import read

RED, GREEN, BLUE, CLEAR = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), None
COLOURS = {"r": RED, "g": GREEN, "b": BLUE}
TABLE = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9))
TRANSPARENT = 3


def code(indices: list[int]) -> bytes:
    """GIF's LZW of 2-bit indices, with a clear code before each so that codes stay 3 bits wide."""
    bits = "".join(f"{value:03b}"[::-1] for index in indices for value in (4, index)) + f"{5:03b}"[::-1]
    packed = bytes(int(bits[k : k + 8][::-1], 2) for k in range(0, len(bits), 8))
    blocks = [packed[k : k + 255] for k in range(0, len(packed), 255)]
    return b"\2" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def frame(box: tuple[int, int, int, int], index: int, *, disposal: int = 0, transparent: bool = False) -> bytes:
    """A frame of one colour at box = (left, top, width, height)."""
    control = b"!\xf9\4" + bytes([disposal << 2 | transparent, 10, 0, TRANSPARENT, 0])
    return control + b"," + struct.pack("<HHHH", *box) + b"\0" + code([index] * (box[2] * box[3]))


def gif(path: Path, screen: tuple[int, int], *frames: bytes, end: bytes = b";", background: int = 1) -> Path:
    path.write_bytes(
        b"GIF89a" + struct.pack("<HH", *screen) + bytes([0x81, background, 0]) + TABLE + b"".join(frames) + end
    )
    return path


def drawn(path: Path) -> list[str]:
    """Each frame's canvas as rows of letters, "." where it is transparent."""
    shown = []
    for canvas in read(path).frames():
        covered = np.full((*canvas.pixels.shape[:2], 1), 255, np.uint8)
        pixels = np.concatenate([canvas.pixels, covered], axis=-1)[..., :4]
        letters = {colour: letter for letter, colour in COLOURS.items()}
        rows = ["".join(letters[tuple(p.tolist())] if p[3] else "." for p in row) for row in pixels]
        shown.append("/".join(rows))
    return shown


def test_a_first_frame_smaller_than_the_screen_stands_in_transparency(tmp_path: Path) -> None:
    still = gif(tmp_path / "a.gif", (3, 2), frame((1, 0, 1, 1), 0))
    assert read(still).info.kind == "still"
    assert read(still).info.alpha
    assert drawn(still) == [".r./..."]
    animation = gif(tmp_path / "b.gif", (3, 2), frame((1, 0, 1, 1), 0), frame((2, 1, 1, 1), 2))
    assert drawn(animation) == [".r./...", ".r./..b"]


def test_a_later_frame_is_clipped_to_the_screen(tmp_path: Path) -> None:
    path = gif(tmp_path / "a.gif", (2, 2), frame((0, 0, 2, 2), 0), frame((1, 1, 4, 3), 2), frame((5, 5, 1, 1), 1))
    clip = read(path)
    assert (clip.info.width, clip.info.height, clip.info.alpha) == (2, 2, False)
    assert drawn(path) == ["rr/rr", "rr/rb", "rr/rb"]


def test_a_first_frame_larger_than_the_screen_makes_the_canvas(tmp_path: Path) -> None:
    assert drawn(gif(tmp_path / "a.gif", (1, 1), frame((0, 0, 2, 1), 0), frame((1, 0, 1, 1), 1))) == ["rr", "rg"]


@pytest.mark.parametrize(("disposal", "after"), [(0, "rgb"), (1, "rgb"), (2, "r.b"), (3, "rrb"), (4, "rrb")])
def test_a_frame_is_disposed_of_as_it_says(disposal: int, after: str, tmp_path: Path) -> None:
    frames = [frame((0, 0, 3, 1), 0), frame((1, 0, 1, 1), 1, disposal=disposal), frame((2, 0, 1, 1), 2)]
    assert drawn(gif(tmp_path / "a.gif", (3, 1), *frames)) == ["rrr", "rgr", after]


def test_what_a_frame_leaves_transparent_shows_the_frame_before(tmp_path: Path) -> None:
    frames = [frame((0, 0, 2, 1), 0), frame((0, 0, 2, 1), TRANSPARENT, transparent=True), frame((0, 0, 1, 1), 2)]
    assert drawn(gif(tmp_path / "a.gif", (2, 1), *frames)) == ["rr", "rr", "br"]


def test_a_disposal_holds_for_its_own_frame_only(tmp_path: Path) -> None:
    frames = [
        frame((0, 0, 2, 1), 0),
        frame((0, 0, 1, 1), 1, disposal=3),
        frame((1, 0, 1, 1), 2),
        frame((0, 0, 1, 1), 1),
    ]
    assert drawn(gif(tmp_path / "a.gif", (2, 1), *frames)) == ["rr", "gr", "rb", "gb"]


def test_a_missing_trailer_is_said_where_every_frame_is_whole(tmp_path: Path) -> None:
    frames = [frame((0, 0, 2, 2), 0), frame((0, 0, 2, 2), 1)]
    for name, parts, end in [("a.gif", frames, b""), ("b.gif", frames, bytes(9)), ("c.gif", frames[:1], b"")]:
        said: list[Event] = []
        clip = read(gif(tmp_path / name, (2, 2), *parts, end=end), report=said.append)
        assert len(list(clip.frames())) == len(parts)
        assert ["end mark" in str(event) for event in said] == [True]


def test_a_gif_cut_within_a_frame_or_before_one_is_damaged(tmp_path: Path) -> None:
    whole = gif(tmp_path / "a.gif", (2, 2), frame((0, 0, 2, 2), 0), frame((0, 0, 2, 2), 1)).read_bytes()
    last = len(frame((0, 0, 2, 2), 1))
    for cut in (2, 5, last - 7, last - 3):
        (tmp_path / "b.gif").write_bytes(whole[:-cut])
        with pytest.raises(DecodeError, match="cut short"):
            list(read(tmp_path / "b.gif").frames())


def test_a_giant_frame_on_a_small_screen_is_refused_undecoded(tmp_path: Path) -> None:
    giant = b"," + struct.pack("<HHHH", 0, 0, 60000, 60000) + b"\0" + code([0])
    with pytest.raises(InputError, match="60000x60000"):
        read(gif(tmp_path / "a.gif", (2, 2), frame((0, 0, 2, 2), 0), giant))


def test_pillows_own_gifs_come_back_as_they_were_drawn(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (20, 10), (40 * k, 90, 255 - 40 * k)) for k in range(5)]
    for k, picture in enumerate(pictures):
        picture.paste((255, 255, 0), (3 * k, 2, 3 * k + 4, 8))
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=70, loop=2)
    clip = read(tmp_path / "a.gif")
    assert (clip.info.loop, clip.info.frames, clip.info.alpha) == (3, 5, False)
    assert all(np.array_equal(f.pixels, np.asarray(p)) for f, p in zip(clip.frames(), pictures, strict=True))


def test_blocks_are_read_without_decoding_pictures(tmp_path: Path) -> None:
    path = gif(tmp_path / "a.gif", (4, 4), frame((0, 0, 4, 4), 0), frame((1, 1, 2, 2), 1, transparent=True))
    found = parse(path.read_bytes(), "a.gif")
    assert len(found.frames) == 2 and found.first_covers_canvas
    assert [each.delay_seconds for each in found.frames] == [Fraction(1, 10)] * 2
    assert [each.transparent_index for each in found.frames] == [None, TRANSPARENT]
