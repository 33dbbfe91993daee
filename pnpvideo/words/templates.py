"""Built-in sentences about two concepts, in pairs: the same template with either, so that all else cancels out."""

from collections.abc import Callable
from typing import NamedTuple

from pnpvideo.words.sentences import SentenceSet, check_concept

MEDIA = (
    *("photo", "photograph", "picture", "cartoon", "animation", "drawing", "sketch", "painting", "watercolor"),
    *("claymation", "clay model", "oil painting", "pencil sketch", "comic", "engraving", "poster"),
)
"""Concepts that are kinds of pictures: "a cartoon of ..."."""
ADJECTIVES = (
    *("red", "orange", "yellow", "green", "blue", "purple", "violet", "pink", "brown"),
    *("white", "black", "grey", "gray", "golden", "silver"),
    *("wooden", "metal", "glass", "stone", "old", "new", "young", "happy", "sad", "big", "small"),
)
"""Concepts that stand before a noun: "a red ..."."""
PREPOSITIONS = (
    *("at", "in", "on", "under", "by", "with", "without"),
    *("during", "from", "inside", "near", "after", "before"),
)
"""A concept that begins with one of these follows a noun: "... at sunset"."""
MIN_PAIRS = 100
"""Sentences with unknown words are left out only if at least this many pairs remain."""
_MEDIA_FRAMES = (
    *("a photo of {}", "a picture of {}", "a drawing of {}"),
    *("a cartoon of {}", "a painting of {}", "a sketch of {}"),
)
_FRAMES = ("{}", *_MEDIA_FRAMES, "a close view of {}", "{} seen from afar", "there is {}", "this is {}", "we see {}")
_NOUNS = (
    *("ball", "cube", "tree", "house", "car", "boat", "figure", "person", "dog", "cat", "horse", "bird", "chair"),
    *("table", "street", "garden", "hill", "toy", "box", "bottle", "flower", "bridge", "ship", "tower"),
)
_PLACES = (
    *("", " on grass", " on sand", " on snow", " on a stone floor", " on a table", " in a room", " in a street"),
    *(" by the sea", " in a forest"),
)
_TIMES = ("", " in daylight", " at sunset", " at night", " under a cloudy sky", " in the morning")


def template_pairs(
    source: str, target: str, known: Callable[[str], bool] = lambda word: True
) -> tuple[SentenceSet, SentenceSet]:
    """Return sentences about two concepts; the n-th of each differ in the concept alone.

    Their templates are those of either concept's kind (see MEDIA, ADJECTIVES, PREPOSITIONS; any other is a thing).
    known: whether a word is one token of the text encoder. A sentence with another word besides the concept tells the
    encoder little, and is left out. Raises OptionError for an empty concept.
    """
    source, target = (" ".join(check_concept(concept).split()) for concept in (source, target))
    templates = _templates(next((kind for kind in map(_kind, (source, target)) if kind), ""))
    simple = [template for template in templates if all(map(known, template.sentence("").split()))]
    usable = simple if len(simple) >= MIN_PAIRS else templates
    dropped = {"unknown words": len(templates) - len(usable)} if len(usable) < len(templates) else {}
    first, second = (
        SentenceSet(concept, [template.sentence(concept) for template in usable], dict(dropped))
        for concept in (source, target)
    )
    return first, second


def with_article(phrase: str) -> str:
    """Return a noun phrase with its article, "ball" -> "a ball"; a plural, and what has one, is unchanged."""
    words = phrase.lower().split()
    plural = bool(words) and words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is"))
    if not words or words[0] in ("a", "an", "the", "some") or plural:
        return phrase
    return f"{'an' if words[0][0] in 'aeiou' else 'a'} {phrase}"


class _Template(NamedTuple):
    """``frame`` has a place for ``subject``, with its article; ``tail`` follows. In both, {} is the concept."""

    frame: str
    subject: str
    tail: str

    def sentence(self, concept: str) -> str:
        subject = " ".join(self.subject.format(concept).split())
        return self.frame.format(with_article(subject)) + self.tail.format(concept)


def _kind(concept: str) -> str:
    words = concept.lower().split()
    if concept.lower() in MEDIA:
        return "medium"
    if concept.lower() in ADJECTIVES:
        return "adjective"
    return "circumstance" if words[0] in PREPOSITIONS else ""


def _templates(kind: str) -> list[_Template]:
    """All templates of a kind, in a fixed order."""
    if kind == "medium":
        tails = [f" of {with_article(noun)}{place}{time}" for noun in _NOUNS for place in _PLACES for time in _TIMES]
        return [_Template("{}", "{}", tail) for tail in tails]
    if kind in ("adjective", "circumstance"):
        subject, tail = ("{{}} {}", "") if kind == "adjective" else ("{}", " {}")
        return [
            _Template(frame, subject.format(noun), place + tail)
            for frame in _FRAMES
            for noun in _NOUNS
            for place in _PLACES[:5]
        ]
    return [_Template(frame, "{}", place + time) for frame in _FRAMES for place in _PLACES for time in _TIMES]
