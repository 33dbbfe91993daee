"""Read animations (GIF, APNG, WebP, AVIF): composed frames with their delays, loop and alpha."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.errors import DecodeError, InputError, printable
from pnpvideo.video import avif, bit_depth, gif
from pnpvideo.video.clip import MAX_FRAMES, ClipInfo, Frame
from pnpvideo.video.formats import GIF_SHORTEST_SECONDS
from pnpvideo.video.picture_formats import PictureFormat
from pnpvideo.video.pillow_reader import FileWarnings, open_image, pillow_errors
from pnpvideo.video.stills import Still, has_alpha

FALLBACK_DELAY_SECONDS = Fraction(1, 10)
"""Browsers and ffmpeg show a frame for so long if its delay is too short."""
MAX_CANVAS_PIXELS = 4096 * 2160
"""Of an animation's canvas, several of which are in memory while frames are composed."""
MAX_TOTAL_PIXELS = 2**32
"""Of all frames: 2000 frames of 1920 x 1080."""
SAFE_TOTAL_PIXELS = 2**27
"""Of all frames, in a file of any size."""
TOTAL_PIXELS_PER_BYTE = 2**15
"""Limit for larger animations. A slide of 720p that is shown for 100 frames of WebP has 9300 pixels per byte."""

Canvases = Iterator[tuple[np.ndarray, Fraction]]
"""Each frame, composed, (h, w, 3 or 4) uint8, and its delay in seconds. The array may be reused for the next frame."""


@dataclass(frozen=True, kw_only=True)
class Animation:
    """An animation that was decoded once, to learn its times."""

    path: Path
    info: ClipInfo
    form: PictureFormat
    file_warnings: FileWarnings
    delays_seconds: tuple[Fraction, ...]
    """How long each frame is shown."""

    @classmethod
    def open(cls, path: Path, form: PictureFormat, file_warnings: FileWarnings, patience_seconds: float) -> "Animation":
        """Decode every frame. Raises InputError beyond the limits or ``patience_seconds``, DecodeError for damage."""
        name = printable(str(path))
        delays: list[Fraction] = []
        alpha = False
        until = time.monotonic() + patience_seconds
        outline = _Outline.read(path, form, file_warnings)
        _check_total_pixels(name, path.stat().st_size, outline)
        if form.reader == "AVIF":
            avif.warn_of_hdr(path, file_warnings.about(path))
        for canvas, delay in _canvases(path, form, file_warnings):
            if time.monotonic() > until:
                raise InputError(
                    f"{name}: going through its {outline.frames} frames takes more than {patience_seconds:g} s; "
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
        return cls(path=path, info=info, form=form, file_warnings=file_warnings, delays_seconds=tuple(delays))

    def edges(self, stop: int | None = None, stop_seconds: Fraction | None = None) -> list[Fraction]:
        """Times at which the frames begin, and at which the last one ends. See ``Source.edges``."""
        return list(itertools.accumulate(self.delays_seconds, initial=Fraction(0)))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Decode frames start to stop (exclusive), the first of them at 0 seconds."""
        elapsed = Fraction(0)
        canvases = _canvases(self.path, self.form, self.file_warnings)
        for index, (canvas, delay) in enumerate(itertools.islice(canvases, stop)):
            if index >= start:
                yield Frame(index, elapsed, _with_channels(canvas, self.info.alpha), delay)
                elapsed += delay


def open_picture(
    path: Path, form: PictureFormat, file_warnings: FileWarnings, patience_seconds: float
) -> Animation | Still:
    """Open an animation if the file says that it is one, else a still."""
    if form.animated and _Outline.read(path, form, file_warnings).is_animated:
        return Animation.open(path, form, file_warnings, patience_seconds)
    return Still.open(path, form, file_warnings)


@dataclass(frozen=True, kw_only=True)
class _Outline:
    """What the headers say."""

    size: tuple[int, int]
    """(width, height) in pixels."""
    frames: int
    plays: int
    """How many times the animation is shown, 0: forever."""
    is_animated: bool

    @classmethod
    def read(cls, path: Path, form: PictureFormat, file_warnings: FileWarnings) -> "_Outline":
        name, warn = printable(str(path)), file_warnings.about(path)
        if form.reader == "GIF":
            parsed = gif.parse(path.read_bytes(), name)
            if not parsed.has_trailer:
                warn(gif.NO_TRAILER)
            frames = len(parsed.frames)
            return cls(size=parsed.size, frames=frames, plays=parsed.plays, is_animated=frames > 1)
        with pillow_errors(name, warn), open_image(path, form.reader, name) as image:
            frames, plays = getattr(image, "n_frames", 1), image.info.get("loop") or 0
            is_animated = bool(getattr(image, "is_animated", False))
            return cls(size=image.size, frames=frames - _poster_frames(image), plays=plays, is_animated=is_animated)


def _check_total_pixels(name: str, size_bytes: int, outline: _Outline) -> None:
    """Raise InputError for animations whose frames would exhaust a machine's memory or time."""
    (width, height), frames = outline.size, outline.frames
    advice = "scale it down or convert it to a video"
    if frames > MAX_FRAMES:
        raise InputError(f"{name} has more than {MAX_FRAMES} frames; cut it into parts")
    if width * height > MAX_CANVAS_PIXELS:
        raise InputError(
            f"{name} is {width}x{height}; accepted are animations of up to {MAX_CANVAS_PIXELS} pixels: {advice}"
        )
    pixels = width * height * frames
    most = min(MAX_TOTAL_PIXELS, max(SAFE_TOTAL_PIXELS, size_bytes * TOTAL_PIXELS_PER_BYTE))
    if pixels > most:
        raise InputError(
            f"{name}: its {size_bytes} bytes unfold to {frames} frames of {width}x{height}, {pixels} pixels; "
            f"accepted of a file of this size are {most}: {advice}"
        )


def _poster_frames(image: Image.Image) -> int:
    """1 for an APNG that begins with a picture for viewers without animation, which is not part of it; else 0."""
    return int(bool(getattr(image, "default_image", False)))


def _canvases(path: Path, form: PictureFormat, file_warnings: FileWarnings) -> Canvases:
    """Compose each frame. Delays that no viewer honours become FALLBACK_DELAY_SECONDS."""
    if form.reader == "GIF":
        return _gif_canvases(path, file_warnings)
    return _pillow_canvases(path, form, file_warnings)


def _gif_canvases(path: Path, file_warnings: FileWarnings) -> Canvases:
    name = printable(str(path))
    parsed = gif.parse(path.read_bytes(), name)
    for frame, canvas in zip(parsed.frames, parsed.canvases(name, file_warnings.about(path)), strict=True):
        delay = frame.delay_seconds
        yield canvas, delay if delay >= GIF_SHORTEST_SECONDS else FALLBACK_DELAY_SECONDS


def _pillow_canvases(path: Path, form: PictureFormat, file_warnings: FileWarnings) -> Canvases:
    name, warn = printable(str(path)), file_warnings.about(path)
    exact = None
    if form.reader == "AVIF":
        exact = avif.frame_durations(path.read_bytes())
    with pillow_errors(name, warn):
        image = open_image(path, form.reader, name)
    with image:
        frames = getattr(image, "n_frames", 1)
        first = _poster_frames(image)
        for number in range(first, frames):
            with pillow_errors(f"{name}, at frame {number - first},", warn) as warn_later:
                canvas = _load_frame(image, number, name)
                delay = exact[number] if exact and len(exact) == frames else _delay_seconds(image)
                pixels = bit_depth.to_8_bits(canvas, has_alpha(canvas), None, warn_later)
            yield pixels, delay if delay > 0 else FALLBACK_DELAY_SECONDS


def _load_frame(image: Image.Image, number: int, name: str) -> Image.Image:
    try:
        image.seek(number)
    except EOFError as error:
        raise DecodeError(f"{name} is cut short: it ends before frame {number}") from error
    image.load()
    return image


def _delay_seconds(image: Image.Image) -> Fraction:
    return Fraction((image.info.get("duration") or 0) / 1000).limit_denominator(65535)


def _with_channels(canvas: np.ndarray, alpha: bool) -> np.ndarray:
    """A copy of the canvas as (h, w, 4) if ``alpha``, else as (h, w, 3)."""
    if alpha and canvas.shape[2] == 3:
        return np.dstack([canvas, np.full(canvas.shape[:2], 255, np.uint8)])
    return np.array(canvas if alpha else canvas[..., :3])
