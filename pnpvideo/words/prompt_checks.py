"""Advice about a prompt: concepts that it does not mention, and words that the model was not trained on."""

import re
from collections.abc import Iterable, Set

from pnpvideo.backends.learned_words import LEARNED_WORDS
from pnpvideo.words.sentences import mentions

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def advise_unmentioned(concepts: Iterable[str], name: str, text: str) -> list[str]:
    """Return one message for each of ``concepts`` that is to change and that ``text`` does not mention.

    name: what the text is, such as "caption".
    """
    return [
        f"{concept!r}, which is to change, is not in the {name} {text!r}: the edit is added to the text as a whole and "
        "may change something else, or nothing; name what the text says, or give a --source-prompt that says it"
        for concept in concepts
        if not mentions(text, concept)
    ]


def advise_unlearned(words: Iterable[str]) -> str:
    """Return a message about ``words`` that the model was not trained on."""
    return (
        f"this model was trained on few words, and not on {', '.join(map(repr, words))}: it will draw something else; "
        f"name a larger checkpoint, such as --model sd15, or use words of its {LEARNED_WORDS}"
    )


def unlearned_words(text: str, learned: Set[str]) -> list[str]:
    """Return the words of ``text`` that are not in ``learned`` (lower case), each once, in order of appearance.

    Numbers and punctuation are not words. An empty ``learned`` means that nothing is known about the model's words:
    the result is then empty too.
    """
    if not learned:
        return []
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in learned]
