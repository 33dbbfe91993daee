"""Parse a GIF, and compose its frames on one canvas as browsers show them.

The canvas is the logical screen, or larger if the first frame is (as in Chrome). Frames are clipped to it. What no
frame has covered, and what disposal clears, is transparent: the header's background colour is ignored. Pillow decodes
each frame, but does not compose: its own composition lets the canvas grow and paints with the palette.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video.clip import MAX_FRAMES, MAX_PIXELS
from pnpvideo.video.pillow_reader import Warn, pillow_errors

NO_TRAILER = "the GIF has no end mark; every frame that it holds is whole"
"""Warning for a GIF whose last byte is missing."""
_CLEAR, _RESTORE = 2, (3, 4)  # disposal methods; old encoders write 4 for 3
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL, _APPLICATION = 0xF9, 0xFF


@dataclass(frozen=True, kw_only=True)
class GifFrame:
    """One picture of the file, still encoded."""

    box: tuple[int, int, int, int]
    """Left, top, right and bottom on the screen, in pixels."""
    flags: int
    """Of the image descriptor."""
    data: bytes
    """Local colour table, then LZW code."""
    control: bytes
    """The graphic control block: flags, delay in hundredths of a second, transparent index."""
    disposal: int
    """What happens to the painted area after the frame was shown."""

    @property
    def delay_seconds(self) -> Fraction:
        return Fraction(int.from_bytes(self.control[1:3], "little"), 100)

    @property
    def transparent_index(self) -> int | None:
        return self.control[3] if self.control[0] & 1 else None


@dataclass(frozen=True, kw_only=True)
class Gif:
    """A parsed GIF."""

    size: tuple[int, int]
    """(width, height) of the canvas in pixels."""
    plays: int
    """How many times the animation is shown, 0: forever."""
    flags: int
    """Of the logical screen descriptor."""
    table: bytes
    """Global colour table."""
    frames: tuple[GifFrame, ...]
    has_trailer: bool
    """Whether the file ends as it should."""

    @property
    def first_covers_canvas(self) -> bool:
        """Whether the first frame covers the whole canvas."""
        left, top, right, bottom = self.frames[0].box
        return left <= 0 and top <= 0 and right >= self.size[0] and bottom >= self.size[1]

    def canvases(self, name: str, warn: Warn) -> Iterator[np.ndarray]:
        """Compose each frame: (h, w, 4) uint8, the same array every time. DecodeError names the damaged frame."""
        width, height = self.size
        canvas = np.zeros((height, width, 4), np.uint8)
        canvas[..., :3] = self._colour_under_transparency(self.frames[0])
        for number, frame in enumerate(self.frames):
            left, top, right, bottom = frame.box
            area = canvas[top:bottom, left:right]  # numpy clips it
            if not area.size:
                yield canvas
                continue
            before = area.copy() if frame.disposal in _RESTORE else None
            with pillow_errors(f"{name}, at frame {number},", warn):
                picture = self._decode(frame)[: area.shape[0], : area.shape[1]]
            if frame.transparent_index is None or number == 0:
                area[:] = picture
            else:
                np.copyto(area, picture, where=picture[..., 3:] > 0)
            yield canvas
            if frame.disposal == _CLEAR:
                area[:] = (*self._colour_under_transparency(frame), 0)
            elif before is not None:
                area[:] = before

    def _colour_under_transparency(self, frame: GifFrame) -> tuple[int, ...]:
        """RGB of fully transparent pixels: the colour at the transparent index, which shows nowhere."""
        table, index = frame.data[: _table_bytes(frame.flags)] or self.table, frame.transparent_index
        if index is None or 3 * index + 3 > len(table):
            return (0, 0, 0)
        return tuple(table[3 * index : 3 * index + 3])

    def _decode(self, frame: GifFrame) -> np.ndarray:
        """(h, w, 4) uint8 of the frame alone, by Pillow, as a GIF of its own."""
        left, top, right, bottom = frame.box
        size = (right - left).to_bytes(2, "little") + (bottom - top).to_bytes(2, "little")
        control = b"!\xf9\x04" + bytes([frame.control[0] & 1]) + b"\0\0" + frame.control[3:4] + b"\0"
        header = b"GIF89a" + size + bytes([self.flags]) + b"\0\0" + self.table
        picture = b"," + bytes(4) + size + bytes([frame.flags]) + frame.data
        with Image.open(io.BytesIO(header + control + picture + b";"), formats=["GIF"]) as image:
            return np.asarray(image.convert("RGBA"))


def parse(content: bytes, name: str) -> Gif:
    """Read the blocks of a GIF, without decoding its pictures. name: of the file, for error messages.

    Raises DecodeError if the file ends within a frame, holds no frame or is damaged; InputError beyond the limits.
    """
    frames: list[GifFrame] = []
    control: bytes | None = None
    plays, has_trailer = 1, True
    try:
        flags = content[10]
        place = 13 + _table_bytes(flags)
        table = content[13:place]
        while True:
            if control is None and _only_padding_follows(content, place):
                has_trailer = False
                break
            kind = content[place]
            if kind == _TRAILER:
                break
            if kind == _EXTENSION:
                blocks = place + 2
                body = content[blocks + 1 : blocks + 1 + content[blocks]]
                if content[place + 1] == _GRAPHIC_CONTROL and len(body) >= 4:
                    control = body[:4]
                elif content[place + 1] == _APPLICATION and body.startswith(b"NETSCAPE2.0") and not frames:
                    plays = _plays(content[blocks + 12 : blocks + 16], plays)
                place = _after_blocks(content, blocks)
            elif kind == _IMAGE:
                frame, place = _parse_frame(content, place, control or bytes(4))
                width, height = frame.box[2] - frame.box[0], frame.box[3] - frame.box[1]
                if width * height > MAX_PIXELS:
                    raise InputError(f"{name} has a frame of {width}x{height}; accepted are up to {MAX_PIXELS} pixels")
                if len(frames) >= MAX_FRAMES:
                    raise InputError(f"{name} has more than {MAX_FRAMES} frames; cut it into parts")
                frames.append(frame)
                control = None
            else:
                raise DecodeError(f"{name} is damaged: byte {place} begins no block of a GIF")
    except IndexError:
        raise DecodeError(f"{name} is cut short: the GIF ends within frame {len(frames)}") from None
    if not frames:
        raise DecodeError(f"{name} is cut short: the GIF holds no frame")
    size = _canvas_size(content, frames[0], name)
    return Gif(size=size, plays=plays, flags=flags, table=table, frames=tuple(frames), has_trailer=has_trailer)


def _parse_frame(content: bytes, place: int, control: bytes) -> tuple[GifFrame, int]:
    """The frame whose image descriptor stands at ``place``, and the place after it."""
    left, top, width, height = (int.from_bytes(content[place + k : place + k + 2], "little") for k in (1, 3, 5, 7))
    start = place + 10
    flags = content[start - 1]
    end = _after_blocks(content, start + _table_bytes(flags) + 1)
    box = (left, top, left + width, top + height)
    data = content[start:end]
    return GifFrame(box=box, flags=flags, data=data, control=control, disposal=control[0] >> 2 & 7), end


def _plays(body: bytes, default: int) -> int:
    """How many times the animation is shown, by Netscape's extension, which counts the repeats after the first time."""
    if len(body) != 4 or body[:2] != b"\x03\x01":
        return default
    count = int.from_bytes(body[2:], "little")
    return count + 1 if count else 0


def _canvas_size(content: bytes, first: GifFrame, name: str) -> tuple[int, int]:
    screen = int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    width, height = max(screen[0], first.box[2]), max(screen[1], first.box[3])
    if not width * height:
        raise DecodeError(f"{name} is damaged: its size is {width}x{height}")
    if width * height > MAX_PIXELS:
        raise InputError(f"{name} is {width}x{height}; accepted are up to {MAX_PIXELS} pixels")
    return width, height


def _table_bytes(flags: int) -> int:
    """Size of a colour table by the flags of its descriptor."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _only_padding_follows(content: bytes, place: int) -> bool:
    return place >= len(content) or (content[place] == 0 and not content[place:].strip(b"\0"))


def _after_blocks(content: bytes, place: int) -> int:
    """The place after a chain of data blocks of up to 255 bytes, the last one empty."""
    while content[place]:
        place += 1 + content[place]
    return place + 1
