"""The list of words that a checkpoint was trained on, where it states one."""

import os
from pathlib import Path

from pnpvideo.errors import ModelError

LEARNED_WORDS = "learned-words.txt"
"""UTF-8, one word a line, beside the weights. Not part of the checkpoint's fingerprint, since it changes no result."""
MAX_BYTES = 1 << 20


def read_learned_words(folder: Path) -> frozenset[str]:
    """Return the words that the checkpoint in ``folder`` lists; none where it has no list. Raises ModelError."""
    path = folder / LEARNED_WORDS
    if not os.path.lexists(path):
        return frozenset()
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is not a list of words; accepted is a text file of up to {MAX_BYTES:,} bytes")
        return frozenset(path.read_text(encoding="utf-8-sig").lower().split())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not UTF-8 text: {error}") from error
