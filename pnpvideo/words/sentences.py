"""Sentences about a concept, which an edit direction is the mean of: read from a file, and filtered."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pnpvideo.errors import InputError, OptionError, refuse_url

MAX_BYTES = 50_000_000


@dataclass
class SentenceSet:
    """``sentences`` about ``concept``, each once. dropped: how many others there were, by reason."""

    concept: str
    sentences: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)


def filter_sentences(concept: str, sentences: Iterable[str]) -> SentenceSet:
    """Return the sentences that mention ``concept`` (see ``mentions``), each once, in their order.

    Raises OptionError for an empty concept.
    """
    check_concept(concept)
    result, lowercase = SentenceSet(concept), set[str]()
    for sentence in sentences:
        plain = " ".join(sentence.split())
        reason = None
        if not plain:
            reason = "empty"
        elif not mentions(plain, concept):
            reason = f"without {concept!r}"
        elif plain.lower() in lowercase:
            reason = "said twice"
        if reason:
            result.dropped[reason] = result.dropped.get(reason, 0) + 1
            continue
        lowercase.add(plain.lower())
        result.sentences.append(plain)
    return result


def read_sentences(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file of at most MAX_BYTES. Raises InputError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES:,} bytes, too large for a list of sentences")
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        refuse_url(path)
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text: {error}") from error


def mentions(text: str, phrase: str) -> bool:
    """Whether ``text`` contains ``phrase`` as whole words, as it is or in the plural, in any case."""
    pattern = rf"(?<!\w){re.escape(' '.join(phrase.split()))}(?:s|es)?(?!\w)"
    return re.search(pattern, " ".join(text.split()), re.IGNORECASE) is not None


def check_concept(concept: str) -> str:
    """Return ``concept``. Raises OptionError if it is empty."""
    if not concept.strip():
        raise OptionError("a concept is empty; accepted is a word or a few, such as 'ball' or 'at sunset'")
    return concept
