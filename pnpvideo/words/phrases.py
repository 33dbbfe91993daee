"""The phrase of a text that a concept belongs to: "red ball" for "ball", the ball that "red" describes."""

from pnpvideo.words.templates import ADJECTIVES, PREPOSITIONS


def extend_to_phrase(text: str, source: str, target: str) -> tuple[str, str]:
    """Return the phrase around ``source`` in ``text``, and the same phrase with ``target`` in its place.

    "ball", "cube" in "a photo of a red ball" give "red ball", "red cube". A phrase has the ADJECTIVES before the
    concept and, if the concept is an adjective itself, those after it and the noun. A direction between two phrases
    is that of this very thing. If ``text`` does not contain ``source``, both are returned as they are.
    """
    words, wanted = text.lower().split(), source.lower().split()
    first = next((n for n in range(len(words)) if words[n : n + len(wanted)] == wanted), None)
    if first is None:
        return source, target
    start, end = first, first + len(wanted)
    while start and words[start - 1] in ADJECTIVES:
        start -= 1
    if wanted[-1] in ADJECTIVES:
        while end < len(words) and words[end] in ADJECTIVES:
            end += 1
        end += end < len(words) and words[end].isalpha() and words[end] not in (*PREPOSITIONS, "and", "or")
    before, after = words[start:first], words[first + len(wanted) : end]
    return " ".join([*before, source, *after]), " ".join([*before, target, *after])


def noun_after(text: str, adjective: str) -> str:
    """Return the noun in ``text`` that ``adjective`` describes, maybe after more ADJECTIVES; "" if there is none."""
    words = [word.strip(".,;:!?") for word in text.lower().split()]
    after = words[words.index(adjective.lower()) + 1 :] if adjective.lower() in words else []
    noun = next((word for word in after if word not in (*ADJECTIVES, "and", "or")), "")
    return "" if noun in PREPOSITIONS else noun
