"""Check the file of an edit direction without the libraries that read it."""

import os
from pathlib import Path

from pnpvideo.errors import InputError, refuse_url

LARGEST = 256 << 20


def check_direction_file(path: Path) -> None:
    """Raise InputError if there is no such file, or one that is too large for a direction."""
    if not os.path.isfile(path):
        refuse_url(path)
        raise InputError(f"{path} is no file; a direction is made by: pnpvideo direction build")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} has {path.stat().st_size >> 20} MiB; a direction has up to {LARGEST >> 20}")
