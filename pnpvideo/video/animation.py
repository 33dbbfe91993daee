"""Animations (GIF, APNG, WebP, AVIF): composed frames with their delays, loop and alpha."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video import avif, depth, gif
from pnpvideo.video.clip import MAX_FRAMES, ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.formats import GIF_SHORTEST_SECONDS
from pnpvideo.video.picture_formats import PictureFormat
from pnpvideo.video.pillow_reader import Remarks, border, load
from pnpvideo.video.stills import Still, has_alpha

STANDSTILL_SECONDS = Fraction(1, 10)  # what browsers and ffmpeg make of a delay that is too short to show

MAX_CANVAS = 4096 * 2160  # pixels of an animation's canvas: composing holds several of them at once
MAX_UNFOLDED = 2**32  # pixels of all frames: 2000 of 1920 x 1080
USUAL_UNFOLDED = 2**27  # pixels of all frames that a file of any size may unfold to
UNFOLDED_PER_BYTE = 2**15  # of a larger animation; a slide of 720p, held for 100 frames of WebP, has 9300

# canvas and delay of each frame; the canvas is the next frame's, too
Shown = Iterator[tuple[np.ndarray, Fraction]]


@dataclass(frozen=True, kw_only=True)
class Animation:
    """An animation that was walked through once; ``delays`` are its frames' durations in seconds."""

    path: Path
    info: ClipInfo
    form: PictureFormat
    remarks: Remarks
    delays: tuple[Fraction, ...]

    @classmethod
    def of(cls, path: Path, form: PictureFormat, remarks: Remarks, patience_seconds: float) -> "Animation":
        """Decodes every frame. InputError: beyond the limits, or beyond ``patience_seconds``. DecodeError: damaged."""
        named, delays, alpha = printable(str(path)), [], False
        until = time.monotonic() + patience_seconds
        outline = _Outline.of(path, form, remarks)
        _check_unfolded(named, path.stat().st_size, outline)
        if form.reader == "AVIF":
            avif.remark_hdr(path, remarks.about(path))
        for canvas, delay in _shown(path, form, remarks):
            if time.monotonic() > until:
                raise InputError(
                    f"{named}: going through its {outline.frames} frames takes more than {patience_seconds:g} s; "
                    "convert it to a video"
                )
            delays.append(delay)
            alpha = alpha or (canvas.shape[2] == 4 and int(canvas[..., 3].min()) < 255)
        duration = sum(delays, Fraction(0))
        info = ClipInfo(
            path=path,
            kind="animation",
            width=outline.size[0],
            height=outline.size[1],
            frames=len(delays),
            fps=len(delays) / duration,
            variable_rate=len(set(delays)) > 1,
            duration_seconds=duration,
            alpha=alpha,
            loop=outline.plays,
        )
        return cls(path=path, info=info, form=form, remarks=remarks, delays=tuple(delays))

    def edges(self, stop: int | None = None) -> list[Fraction]:
        return list(itertools.accumulate(self.delays[:stop], initial=Fraction(0)))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        shown = Fraction(0)
        canvases = _shown(self.path, self.form, self.remarks)
        for index, (canvas, delay) in enumerate(itertools.islice(canvases, stop)):
            if index >= start:
                yield Frame(index, shown, _with_alpha(canvas, self.info.alpha), delay)
                shown += delay


def open_picture(path: Path, form: PictureFormat, remarks: Remarks, patience_seconds: float) -> Animation | Still:
    """An animation where the file says that it is one, else a still."""
    if form.animated and _Outline.of(path, form, remarks).animated:
        return Animation.of(path, form, remarks, patience_seconds)
    return Still.of(path, form, remarks)


@dataclass(frozen=True, kw_only=True)
class _Outline:
    """What the headers say. size: (width, height). plays: how often, 0 for ever."""

    size: tuple[int, int]
    frames: int
    plays: int
    animated: bool

    @classmethod
    def of(cls, path: Path, form: PictureFormat, remarks: Remarks) -> "_Outline":
        named, remark = printable(str(path)), remarks.about(path)
        if form.reader == "GIF":
            parsed = gif.parse(path.read_bytes(), named)
            if not parsed.ended:
                remark(gif.NO_TRAILER)
            frames = len(parsed.frames)
            return cls(size=parsed.size, frames=frames, plays=parsed.plays, animated=frames > 1)
        with border(named, remark), load(path, form.reader, named) as image:
            frames, plays = getattr(image, "n_frames", 1), image.info.get("loop") or 0
            animated = bool(getattr(image, "is_animated", False))
            return cls(size=image.size, frames=frames - _hidden(image), plays=plays, animated=animated)


def _check_unfolded(named: str, size_bytes: int, outline: _Outline) -> None:
    """InputError for animations whose frames would take a machine's memory or time."""
    (width, height), frames = outline.size, outline.frames
    advice = "scale it down or convert it to a video"
    if frames > MAX_FRAMES:
        raise InputError(f"{named} has more than {MAX_FRAMES} frames; cut it into parts")
    if width * height > MAX_CANVAS:
        raise InputError(f"{named} is {width}x{height}; accepted are animations of up to {MAX_CANVAS} pixels: {advice}")
    pixels, most = width * height * frames, min(MAX_UNFOLDED, max(USUAL_UNFOLDED, size_bytes * UNFOLDED_PER_BYTE))
    if pixels > most:
        raise InputError(
            f"{named}: its {size_bytes} bytes unfold to {frames} frames of {width}x{height}, {pixels} pixels; "
            f"accepted of a file of this size are {most}: {advice}"
        )


def _hidden(image: Image.Image) -> int:
    """1 where an APNG begins with a picture for viewers that cannot animate, which is no part of the animation."""
    return int(bool(getattr(image, "default_image", False)))


def _shown(path: Path, form: PictureFormat, remarks: Remarks) -> Shown:
    """Each frame, composed, and its delay. Delays that no viewer honours count as a tenth of a second."""
    if form.reader == "GIF":
        return _shown_gif(path, remarks)
    return _shown_by_pillow(path, form, remarks)


def _shown_gif(path: Path, remarks: Remarks) -> Shown:
    named = printable(str(path))
    parsed = gif.parse(path.read_bytes(), named)
    for frame, canvas in zip(parsed.frames, parsed.canvases(named, remarks.about(path)), strict=True):
        yield canvas, frame.delay if frame.delay >= GIF_SHORTEST_SECONDS else STANDSTILL_SECONDS


def _shown_by_pillow(path: Path, form: PictureFormat, remarks: Remarks) -> Shown:
    named, remark = printable(str(path)), remarks.about(path)
    exact = None
    if form.reader == "AVIF":
        exact = avif.delays(path.read_bytes())
    with border(named, remark):
        image = load(path, form.reader, named)
    with image:
        frames = getattr(image, "n_frames", 1)
        first = _hidden(image)
        for number in range(first, frames):
            with border(f"{named}, at frame {number - first},", remark) as put:
                canvas = _loaded(image, number, named)
                delay = exact[number] if exact and len(exact) == frames else _delay(image)
                pixels = depth.pixels(canvas, has_alpha(canvas), None, put)
            yield pixels, delay if delay > 0 else STANDSTILL_SECONDS


def _loaded(image: Image.Image, number: int, named: str) -> Image.Image:
    try:
        image.seek(number)
    except EOFError as error:
        raise DecodeError(f"{named} is cut short: it ends before frame {number}") from error
    image.load()
    return image


def _delay(image: Image.Image) -> Fraction:
    return Fraction((image.info.get("duration") or 0) / 1000).limit_denominator(65535)


def _with_alpha(canvas: np.ndarray, alpha: bool) -> np.ndarray:
    """An array of its own, with or without the fourth channel."""
    if alpha and canvas.shape[2] == 3:
        return np.dstack([canvas, np.full(canvas.shape[:2], 255, np.uint8)])
    return np.array(canvas if alpha else canvas[..., :3])
