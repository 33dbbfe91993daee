"""Outputs that Pillow encodes: a still, a folder of numbered PNGs, an animated WebP."""

import contextlib
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pnpvideo.errors import EncodeError
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.folder import DURATION_KEY, TIME_KEY
from pnpvideo.video.webp import QUALITY, AnimatedWebP

JPEG_QUALITY = 95


class StillFile:
    """One picture. ``form``: Pillow's name of the format."""

    def __init__(self, path: Path, form: str, info: ClipInfo) -> None:
        self._path, self._form, self._profile = path, form, info.icc_profile
        self._written = False

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        if self._written:
            raise EncodeError("a second frame came for an output of one picture; name a folder or a clip")
        Image.fromarray(pixels).save(self._path, self._form, quality=JPEG_QUALITY, icc_profile=self._profile)
        self._written = True

    def finish(self) -> None:
        """Complete with its one frame."""

    def abort(self) -> None:
        """Nothing is left open."""


class FrameFolder:
    """000000.png, 000001.png, ..., each with its exact time and duration as text fields."""

    def __init__(self, path: Path) -> None:
        self._path, self._count = path, 0
        path.mkdir()

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        times = PngInfo()
        times.add_text(TIME_KEY, str(pts_seconds))
        times.add_text(DURATION_KEY, str(duration_seconds))
        Image.fromarray(pixels).save(self._path / f"{self._count:06d}.png", "PNG", pnginfo=times)
        self._count += 1

    def finish(self) -> None:
        """Complete with its last frame."""

    def abort(self) -> None:
        """Nothing is left open."""


class WebPFile:
    """A still where one frame comes, an animation where more do. Times are rounded to milliseconds, without drift."""

    def __init__(self, path: Path, info: ClipInfo, alpha: bool) -> None:
        self._path, self._info, self._alpha = path, info, alpha
        self._file = path.open("wb")
        self._first: tuple[np.ndarray, int] | None = None
        self._animation: AnimatedWebP | None = None

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        milliseconds = round((pts_seconds + duration_seconds) * 1000) - round(pts_seconds * 1000)
        if self._animation is None and self._first is None:
            self._first = pixels, milliseconds
            return
        if self._animation is None and self._first is not None:
            size = self._info.width, self._info.height
            plays = self._info.loop or 0
            self._animation = AnimatedWebP(self._file, *size, alpha=self._alpha, plays=plays)
            self._animation.append(*self._first)
        assert self._animation is not None
        self._animation.append(pixels, milliseconds)

    def finish(self) -> None:
        if self._animation is not None:
            self._animation.finish()
        elif self._first is not None:
            profile = self._info.icc_profile
            Image.fromarray(self._first[0]).save(self._file, "WEBP", quality=QUALITY, icc_profile=profile)
        self._file.close()

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk did not take is lost anyway
            self._file.close()
