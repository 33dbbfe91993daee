"""Animations (GIF, APNG, WebP), composed by Pillow, with their delays, loop and alpha."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import Image, ImageSequence

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video import stills
from pnpvideo.video.clip import MAX_FRAMES, ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.formats import GIF_SHORTEST_SECONDS

STANDSTILL_SECONDS = Fraction(1, 10)  # what browsers and ffmpeg make of a delay that is too short to show


@dataclass(frozen=True, kw_only=True)
class Animation:
    """An animation that was walked through once; ``delays`` are its frames' durations in seconds."""

    path: Path
    info: ClipInfo
    delays: tuple[Fraction, ...]

    @classmethod
    def of(cls, path: Path) -> "Animation":
        with stills.opened(path) as image:
            size, form, loops = image.size, image.format, image.info.get("loop")
        if form == "GIF" and not _whole_gif(path.read_bytes()):
            raise DecodeError(f"{printable(str(path))} is cut short: the GIF has no end")
        delays, alpha = [], False
        for picture, delay in _drawn(path):
            delays.append(delay)
            alpha = alpha or (
                stills.has_alpha(picture) and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255)
            )
        loop = loops or 0
        if form == "GIF" and loop != 0:
            loop += 1  # a GIF counts the repeats after the first showing
        if form == "GIF" and loops is None:
            loop = 1
        duration = sum(delays, Fraction(0))
        info = ClipInfo(
            path=path,
            kind="animation",
            width=size[0],
            height=size[1],
            frames=len(delays),
            fps=len(delays) / duration,
            variable_rate=len(set(delays)) > 1,
            duration_seconds=duration,
            alpha=alpha,
            loop=loop,
        )
        return cls(path=path, info=info, delays=tuple(delays))

    def edges(self, stop: int | None = None) -> list[Fraction]:
        return list(itertools.accumulate(self.delays[:stop], initial=Fraction(0)))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        time = Fraction(0)
        for index, (picture, delay) in enumerate(itertools.islice(_drawn(self.path), stop)):
            if index >= start:
                yield Frame(index, time, stills.pixels(picture, self.info.alpha), delay)
                time += delay


def _whole_gif(content: bytes) -> bool:
    """Do the blocks of a GIF lead to its end mark? Pillow takes the end of the file for the end of the animation."""

    def table(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    try:
        place = 13 + table(content[10])
        while content[place] != 0x3B:
            if content[place] == 0x2C:  # a picture: its own colours, the size of its codes
                place += 11 + table(content[place + 9])
            elif content[place] == 0x21:
                place += 2
            else:
                return False
            while content[place]:  # blocks of up to 255 bytes, the last one empty
                place += 1 + content[place]
            place += 1
    except IndexError:
        return False
    return True


def is_animated(path: Path) -> bool:
    with stills.opened(path) as image:
        return image.format in ("GIF", "PNG", "WEBP") and bool(getattr(image, "is_animated", False))


def _delay(image: Image.Image) -> Fraction:
    """How long the current frame is shown. Delays that no viewer honours count as a tenth of a second."""
    seconds = Fraction((image.info.get("duration") or 0) / 1000).limit_denominator(65535)
    shortest = GIF_SHORTEST_SECONDS if image.format == "GIF" else Fraction(1, 65535)
    return seconds if seconds >= shortest else STANDSTILL_SECONDS


def _drawn(path: Path) -> Iterator[tuple[Image.Image, Fraction]]:
    """Each frame, composed, and its delay."""
    named, shown = printable(str(path)), 0
    with stills.opened(path) as image:
        try:
            for picture in ImageSequence.Iterator(image):
                if shown >= MAX_FRAMES:
                    raise InputError(f"{named} has more than {MAX_FRAMES} frames; cut it into parts")
                if picture.tell() == 0 and getattr(picture, "default_image", False):
                    continue  # an APNG's picture for viewers that cannot animate is no part of the animation
                picture.load()
                yield picture, _delay(image)
                shown += 1
        except stills.DAMAGE as error:
            raise DecodeError(f"{named}: the animation is damaged at frame {shown}: {error}") from error
