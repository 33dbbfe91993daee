"""Open pictures with Pillow: its exceptions become errors of ours, and what its libraries print becomes warnings."""

import ctypes
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image, UnidentifiedImageError, _imaging

from pnpvideo.errors import DecodeError, InputError, PnPVideoError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.video.clip import MAX_PIXELS

Warn = Callable[[str], None]
"""Takes what the user should know about a picture, without the picture's name."""

# Pillow logs what it then raises; without a handler Python would print it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_BENIGN = ("Palette images with Transparency",)


class FileWarnings:
    """Reports warnings about files as notices, each text once, so that the frames of a folder repeat nothing."""

    def __init__(self, report: Report) -> None:
        self._report, self._reported = report, set[str]()

    def about(self, path: Path) -> Warn:
        """A function that reports warnings about this file."""

        def warn(text: str) -> None:
            if text not in self._reported:
                self._reported.add(text)
                self._report(Notice(message=f"{printable(str(path))}: {printable(text)}"))

        return warn


class _LibraryMessages:
    """Collects what libtiff and Pillow would print, thread by thread.

    libtiff has one error handler per process. Its default writes to file descriptor 2; exchanging the descriptor would
    swallow what other threads print meanwhile, so the handler itself is exchanged, in the libtiff that Pillow loaded.
    Where that is linked into Pillow (Windows), its functions cannot be reached and it goes on printing.
    """

    def __init__(self) -> None:
        self._collected = threading.local()
        self._lock = threading.RLock()  # Python's filters of warnings belong to the whole process
        handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p)
        self._handler = handler(self._collect)  # libtiff calls it as long as the process lives
        with suppress(OSError, AttributeError):
            install = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
            install.argtypes, install.restype = [handler], ctypes.c_void_p
            install(self._handler)

    def _collect(self, module: bytes | None, message: bytes | None) -> None:
        """libtiff's error handler. ``message`` is a printf format; its arguments cannot be read from here."""
        text = (message or b"").decode("utf-8", "replace").partition("%")[0].strip(" (:")
        getattr(self._collected, "lines", []).append(text or "the TIFF is damaged")

    @contextmanager
    def collect(self, warn: Warn) -> Iterator[Warn]:
        """Collect messages in the block and pass them to ``warn`` after it, when the lock is free again.

        Yields a function for further warnings, which are passed on in the same way.
        """
        texts: list[str] = []
        self._collected.lines = []
        with self._lock, warnings.catch_warnings(record=True) as python_warnings:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is stricter
            yield texts.append
        lines = [*self._collected.lines, *(str(warning.message) for warning in python_warnings)]
        texts += [f"its reader says: {line}" for line in lines if not line.startswith(_BENIGN)]
        for text in texts:
            warn(text)


_MESSAGES = _LibraryMessages()


@contextmanager
def pillow_errors(name: str, warn: Warn) -> Iterator[Warn]:
    """Turn whatever Pillow raises in the block into DecodeError, or into InputError for a picture that is too large.

    The block holds a lock. Inside, do not yield to a caller and do not report; pass warnings to the function that this
    yields. name: of the file, for error messages.
    """
    try:
        with _MESSAGES.collect(warn) as warn_later:
            yield warn_later
    except PnPVideoError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: accepted are pictures of up to {MAX_PIXELS} pixels: {error}") from error
    except UnidentifiedImageError as error:
        raise DecodeError(f"{name} is damaged and cannot be read: its header makes no sense") from error
    except Exception as error:  # damaged files make Pillow raise nearly everything that there is
        why = printable(str(error)) or type(error).__name__
        raise DecodeError(f"{name} is damaged and cannot be read: {why}") from error


def open_image(content: Path | bytes, reader: str, name: str) -> Image.Image:
    """A Pillow image of which only the header was read; the caller closes it. Raises InputError beyond MAX_PIXELS.

    reader: Pillow's name for the format. name: of the file, for error messages.
    """
    Image.init()  # Pillow opens no format by name before its readers are loaded
    image = Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=[reader])
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise InputError(f"{name} is {image.width}x{image.height}; accepted are up to {MAX_PIXELS} pixels")
    return image
