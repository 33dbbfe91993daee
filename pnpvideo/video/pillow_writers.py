"""Write outputs with Pillow: a still, a folder of numbered PNGs, an animated WebP.

Each writer takes frames through ``append``, is completed by ``finish``, and is given up by ``abort``; see ``Sink``.
"""

import contextlib
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pnpvideo.errors import EncodeError
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.container_writers import WEBP_QUALITY, AnimatedWebP
from pnpvideo.video.folder import DURATION_KEY, TIME_KEY

JPEG_QUALITY = 95


class StillWriter:
    """Writes a single picture. form: Pillow's name for the format."""

    def __init__(self, path: Path, form: str, info: ClipInfo) -> None:
        self._path, self._form, self._profile = path, form, info.icc_profile
        self._has_frame = False

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        """Write the picture. Raises EncodeError for a second one."""
        if self._has_frame:
            raise EncodeError("a second frame came for an output of one picture; name a folder or a clip")
        Image.fromarray(pixels).save(self._path, self._form, quality=JPEG_QUALITY, icc_profile=self._profile)
        self._has_frame = True

    def finish(self) -> None:
        """Nothing to do: the file is complete with its frame."""

    def abort(self) -> None:
        """Nothing to do: no file is open."""


class FolderWriter:
    """Writes 000000.png, 000001.png, ..., each with its exact time and duration as PNG text fields."""

    def __init__(self, path: Path) -> None:
        self._path, self._count = path, 0
        path.mkdir()

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        """Write the next file."""
        times = PngInfo()
        times.add_text(TIME_KEY, str(pts_seconds))
        times.add_text(DURATION_KEY, str(duration_seconds))
        Image.fromarray(pixels).save(self._path / f"{self._count:06d}.png", "PNG", pnginfo=times)
        self._count += 1

    def finish(self) -> None:
        """Nothing to do: the folder is complete with its last frame."""

    def abort(self) -> None:
        """Nothing to do: no file is open."""


class WebPWriter:
    """Writes a still for one frame, an animation for more. Times are rounded to milliseconds, without drift."""

    def __init__(self, path: Path, info: ClipInfo, alpha: bool) -> None:
        self._path, self._info, self._alpha = path, info, alpha
        self._file = path.open("wb")
        self._first: tuple[np.ndarray, int] | None = None
        self._animation: AnimatedWebP | None = None

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        """Write the frame, except the first one, which waits until it is known whether others follow."""
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
        """Complete the file."""
        if self._animation is not None:
            self._animation.finish()
        elif self._first is not None:
            profile = self._info.icc_profile
            Image.fromarray(self._first[0]).save(self._file, "WEBP", quality=WEBP_QUALITY, icc_profile=profile)
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError):  # what a full disk did not take is lost anyway
            self._file.close()
