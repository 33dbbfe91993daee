"""Sentences about a concept: what the two ends of an edit direction are made of.

Sources: built-in templates (paired: the same template with either word, so that what is said besides cancels out), a
text file, a sentence a line, or a local language model.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pnpvideo.errors import InputError, OptionError, refuse_url

MOST_BYTES = 50_000_000

MEDIA = (
    *("photo", "photograph", "picture", "cartoon", "animation", "drawing", "sketch", "painting", "watercolor"),
    *("claymation", "clay model", "oil painting", "pencil sketch", "comic", "engraving", "poster"),
)
"""Concepts that are kinds of pictures: "a cartoon of ..."."""
LOOKS = (
    *(
        "red",
        "orange",
        "yellow",
        "green",
        "blue",
        "purple",
        "violet",
        "pink",
        "brown",
        "white",
        "black",
        "grey",
        "gray",
    ),
    *("golden", "silver", "wooden", "metal", "glass", "stone", "old", "new", "young", "happy", "sad", "big", "small"),
)
"""Concepts that stand before a noun: "a red ..."."""
PREPOSITIONS = (
    "at",
    "in",
    "on",
    "under",
    "by",
    "with",
    "without",
    "during",
    "from",
    "inside",
    "near",
    "after",
    "before",
)
"""Concepts that begin so are told behind a noun: "... at sunset"."""
_MEDIA = (
    "a photo of {}",
    "a picture of {}",
    "a drawing of {}",
    "a cartoon of {}",
    "a painting of {}",
    "a sketch of {}",
)
_FRAMES = ("{}", *_MEDIA, "a close view of {}", "{} seen from afar", "there is {}", "this is {}", "we see {}")
_NOUNS = (
    *(
        "ball",
        "cube",
        "tree",
        "house",
        "car",
        "boat",
        "figure",
        "person",
        "dog",
        "cat",
        "horse",
        "bird",
        "chair",
        "table",
    ),
    *("street", "garden", "hill", "toy", "box", "bottle", "flower", "bridge", "ship", "tower"),
)
_PLACES = (
    *("", " on grass", " on sand", " on snow", " on a stone floor", " on a table", " in a room", " in a street"),
    *(" by the sea", " in a forest"),
)
_TIMES = ("", " in daylight", " at sunset", " at night", " under a cloudy sky", " in the morning")


@dataclass
class Sentences:
    """``kept``: sentences that say ``word``, each once; ``dropped``: reason -> how many."""

    word: str
    kept: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)


ENOUGH = 100
"""Pairs of sentences that must be left when those with unknown words are dropped; else none is."""


def paired(source: str, target: str, known: Callable[[str], bool] = lambda word: True) -> tuple[Sentences, Sentences]:
    """Sentences about two concepts from templates, in pairs that say the same besides.

    Their kind is that of either concept (see MEDIA, LOOKS, PREPOSITIONS; all others are things). ``known(word)``: is it
    one token to the text encoder? A sentence with another word besides the concept says little to it, and is dropped.
    """
    for concept in (source, target):
        if not concept.strip():
            raise OptionError("a concept is empty; accepted is a word or a few, such as 'ball' or 'at sunset'")
    source, target = (" ".join(concept.split()) for concept in (source, target))
    templates = _templates(next((kind for kind in map(_kind, (source, target)) if kind), ""))
    understood = [template for template in templates if all(map(known, template.said("").split()))]
    chosen = understood if len(understood) >= ENOUGH else templates
    dropped = {"unknown words": len(templates) - len(chosen)} if len(chosen) < len(templates) else {}
    first, second = (
        Sentences(concept, [template.said(concept) for template in chosen], dict(dropped))
        for concept in (source, target)
    )
    return first, second


class _Template(NamedTuple):
    """``frame`` is said of ``subject``, with its article, and ``tail`` follows; {} in both is the concept."""

    frame: str
    subject: str
    tail: str

    def said(self, concept: str) -> str:
        subject = " ".join(self.subject.format(concept).split())
        return self.frame.format(with_article(subject)) + self.tail.format(concept)


def _kind(concept: str) -> str:
    words = concept.lower().split()
    if concept.lower() in MEDIA:
        return "medium"
    if concept.lower() in LOOKS:
        return "look"
    return "circumstance" if words[0] in PREPOSITIONS else ""


def _templates(kind: str) -> list[_Template]:
    """Every template of a kind, in a fixed order."""
    if kind == "medium":
        tails = [f" of {with_article(noun)}{place}{time}" for noun in _NOUNS for place in _PLACES for time in _TIMES]
        return [_Template("{}", "{}", tail) for tail in tails]
    if kind in ("look", "circumstance"):
        subject, tail = ("{{}} {}", "") if kind == "look" else ("{}", " {}")
        return [
            _Template(frame, subject.format(noun), place + tail)
            for frame in _FRAMES
            for noun in _NOUNS
            for place in _PLACES[:5]
        ]
    return [_Template(frame, "{}", place + time) for frame in _FRAMES for place in _PLACES for time in _TIMES]


def from_file(path: Path) -> list[str]:
    """The lines of a UTF-8 text file. Raises InputError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES:,} bytes, too large for a list of sentences")
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        refuse_url(path)
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text: {error}") from error


def checked(word: str, sentences: Iterable[str]) -> Sentences:
    """Only sentences that say ``word``, as it is or in the plural, each once, in their order."""
    if not word.strip():
        raise OptionError("a concept is empty; accepted is a word or a few, such as 'ball' or 'at sunset'")
    found, seen = Sentences(word), set[str]()
    for sentence in sentences:
        plain = " ".join(sentence.split())
        reason = None
        if not plain:
            reason = "empty"
        elif not mentions(plain, word):
            reason = f"without {word!r}"
        elif plain.lower() in seen:
            reason = "said twice"
        if reason:
            found.dropped[reason] = found.dropped.get(reason, 0) + 1
            continue
        seen.add(plain.lower())
        found.kept.append(plain)
    return found


def mentions(text: str, phrase: str) -> bool:
    """Whether ``text`` contains ``phrase`` as whole words, as it is or in the plural, in any case."""
    pattern = rf"(?<!\w){re.escape(' '.join(phrase.split()))}(?:s|es)?(?!\w)"
    return re.search(pattern, " ".join(text.split()), re.IGNORECASE) is not None


def in_phrase(text: str, source: str, target: str) -> tuple[str, str]:
    """``source`` as ``text`` has it, with the looks (see LOOKS) before it and, of a look, what it describes; ``target``
    in its place there: "ball", "cube" in "a photo of a red ball" are "red ball", "red cube".

    A direction between the two is that of this very thing; as they are where the text does not say ``source``.
    """
    words, sought = text.lower().split(), source.lower().split()
    first = next((n for n in range(len(words)) if words[n : n + len(sought)] == sought), None)
    if first is None:
        return source, target
    start, end = first, first + len(sought)
    while start and words[start - 1] in LOOKS:
        start -= 1
    if sought[-1] in LOOKS:
        while end < len(words) and words[end] in LOOKS:
            end += 1
        end += end < len(words) and words[end].isalpha() and words[end] not in (*PREPOSITIONS, "and", "or")
    before, after = words[start:first], words[first + len(sought) : end]
    return " ".join([*before, source, *after]), " ".join([*before, target, *after])


def described(text: str, look: str) -> str:
    """What ``look`` (see LOOKS) stands before in ``text``, but for other looks between; "" where it stands nowhere."""
    words = [word.strip(".,;:!?") for word in text.lower().split()]
    after = words[words.index(look.lower()) + 1 :] if look.lower() in words else []
    named = next((word for word in after if word not in (*LOOKS, "and", "or")), "")
    return "" if named in PREPOSITIONS else named


def with_article(phrase: str) -> str:
    """A noun phrase with its article: "ball" -> "a ball"; what has one, or is a plural, stays."""
    words = phrase.lower().split()
    plural = bool(words) and words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is"))
    if not words or words[0] in ("a", "an", "the", "some") or plural:
        return phrase
    return f"{'an' if words[0][0] in 'aeiou' else 'a'} {phrase}"
