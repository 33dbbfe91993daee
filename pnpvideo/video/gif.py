"""A GIF's blocks, and its frames on one canvas, as browsers show them.

The canvas is the logical screen, larger only where the first frame is (as in Chrome). Frames are clipped to it. What
no frame has covered, and what disposal clears, is transparent: the background colour of the header is ignored.
Pillow decodes each frame; its own composition grows the canvas and paints with the palette.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video.clip import MAX_FRAMES, MAX_PIXELS
from pnpvideo.video.pillow_reader import Remark, border

NO_TRAILER = "the GIF has no end mark; every frame that it holds is whole"
_CLEAR, _RESTORE = 2, (3, 4)  # disposal methods; old encoders write 4 for 3


@dataclass(frozen=True, kw_only=True)
class GifFrame:
    """One picture of the file. box: left, top, right, bottom on the screen; data: its descriptor's flags, its local
    colours and its code; control: transparency and delay in hundredths of a second; disposal: of what it painted."""

    box: tuple[int, int, int, int]
    flags: int
    data: bytes
    control: bytes
    disposal: int

    @property
    def delay(self) -> Fraction:
        return Fraction(int.from_bytes(self.control[1:3], "little"), 100)

    @property
    def transparent(self) -> int | None:
        return self.control[3] if self.control[0] & 1 else None


@dataclass(frozen=True, kw_only=True)
class Gif:
    """size: (width, height) of the canvas. plays: how often, 0 for ever. table: global colours. ended: it has a
    trailer."""

    size: tuple[int, int]
    plays: int
    flags: int
    table: bytes
    frames: tuple[GifFrame, ...]
    ended: bool

    @property
    def covered(self) -> bool:
        """Whether the first frame covers the canvas."""
        left, top, right, bottom = self.frames[0].box
        return left <= 0 and top <= 0 and right >= self.size[0] and bottom >= self.size[1]

    def canvases(self, name: str, remark: Remark) -> Iterator[np.ndarray]:
        """Each frame as shown: (h, w, 4) uint8, the same array every time. DecodeError names the damaged frame."""
        width, height = self.size
        canvas = np.zeros((height, width, 4), np.uint8)
        canvas[..., :3] = self._hidden(self.frames[0])
        for number, frame in enumerate(self.frames):
            left, top, right, bottom = frame.box
            area = canvas[top:bottom, left:right]  # numpy clips it
            if not area.size:
                yield canvas
                continue
            before = area.copy() if frame.disposal in _RESTORE else None
            with border(f"{name}, at frame {number},", remark):
                painted = self._decoded(frame)[: area.shape[0], : area.shape[1]]
            if frame.transparent is None or number == 0:
                area[:] = painted
            else:
                np.copyto(area, painted, where=painted[..., 3:] > 0)
            yield canvas
            if frame.disposal == _CLEAR:
                area[:] = (*self._hidden(frame), 0)
            elif before is not None:
                area[:] = before

    def _hidden(self, frame: GifFrame) -> tuple[int, ...]:
        """RGB under what is fully transparent: the transparent colour itself, which shows nowhere."""
        local = _table_bytes(frame.flags)
        table, index = frame.data[:local] or self.table, frame.transparent
        return (
            tuple(table[3 * index : 3 * index + 3]) if index is not None and 3 * index + 3 <= len(table) else (0, 0, 0)
        )

    def _decoded(self, frame: GifFrame) -> np.ndarray:
        """(h, w, 4) uint8 of the frame alone, by Pillow, as a GIF of its own."""
        left, top, right, bottom = frame.box
        size = (right - left).to_bytes(2, "little") + (bottom - top).to_bytes(2, "little")
        control = b"!\xf9\x04" + bytes([frame.control[0] & 1]) + b"\0\0" + frame.control[3:4] + b"\0"
        header = b"GIF89a" + size + bytes([self.flags]) + b"\0\0" + self.table
        picture = b"," + bytes(4) + size + bytes([frame.flags]) + frame.data
        with Image.open(io.BytesIO(header + control + picture + b";"), formats=["GIF"]) as image:
            return np.asarray(image.convert("RGBA"))


def parse(content: bytes, name: str) -> Gif:
    """The blocks of a GIF. DecodeError: cut short within a frame, or no frame. InputError: frames beyond the limits."""
    frames: list[GifFrame] = []
    control: bytes | None = None
    plays, ended = 1, True
    try:
        flags = content[10]
        place = 13 + _table_bytes(flags)
        table = content[13:place]
        while True:
            if control is None and _is_over(content, place):
                ended = False
                break
            kind = content[place]
            if kind == 0x3B:
                break
            if kind == 0x21:
                blocks = place + 2
                body = content[blocks + 1 : blocks + 1 + content[blocks]]
                if content[place + 1] == 0xF9 and len(body) >= 4:
                    control = body[:4]
                elif content[place + 1] == 0xFF and body.startswith(b"NETSCAPE2.0"):
                    repeat = content[blocks + 12 : blocks + 16]
                    if len(repeat) == 4 and repeat[:2] == b"\x03\x01" and not frames:
                        count = int.from_bytes(repeat[2:], "little")
                        plays = count + 1 if count else 0  # it counts the repeats after the first showing
                place = _after_blocks(content, blocks)
            elif kind == 0x2C:
                left, top, width, height = (
                    int.from_bytes(content[place + k : place + k + 2], "little") for k in (1, 3, 5, 7)
                )
                start = place + 10
                place = _after_blocks(content, start + _table_bytes(content[start - 1]) + 1)
                if width * height > MAX_PIXELS:
                    raise InputError(f"{name} has a frame of {width}x{height}; accepted are up to {MAX_PIXELS} pixels")
                if len(frames) >= MAX_FRAMES:
                    raise InputError(f"{name} has more than {MAX_FRAMES} frames; cut it into parts")
                control = control or bytes(4)
                frames.append(
                    GifFrame(
                        box=(left, top, left + width, top + height),
                        flags=content[start - 1],
                        data=content[start:place],
                        control=control,
                        disposal=control[0] >> 2 & 7,
                    )
                )
                control = None
            else:
                raise DecodeError(f"{name} is damaged: byte {place} begins no block of a GIF")
    except IndexError:
        raise DecodeError(f"{name} is cut short: the GIF ends within frame {len(frames)}") from None
    if not frames:
        raise DecodeError(f"{name} is cut short: the GIF holds no frame")
    screen = int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    size = max(screen[0], frames[0].box[2]), max(screen[1], frames[0].box[3])
    if not size[0] * size[1]:
        raise DecodeError(f"{name} is damaged: its size is {size[0]}x{size[1]}")
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(f"{name} is {size[0]}x{size[1]}; accepted are up to {MAX_PIXELS} pixels")
    return Gif(size=size, plays=plays, flags=flags, table=table, frames=tuple(frames), ended=ended)


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _is_over(content: bytes, place: int) -> bool:
    """Whether nothing but padding follows."""
    return place >= len(content) or (content[place] == 0 and not content[place:].strip(b"\0"))


def _after_blocks(content: bytes, place: int) -> int:
    """The byte after a chain of blocks of up to 255 bytes, the last one empty."""
    while content[place]:
        place += 1 + content[place]
    return place + 1
