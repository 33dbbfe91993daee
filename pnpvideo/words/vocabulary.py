"""Words of a text that a model was not trained on."""

import re
from collections.abc import Set

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def unlearned_words(text: str, learned: Set[str]) -> list[str]:
    """Return the words of ``text`` that are not in ``learned`` (lower case), each once, in order of appearance.

    Numbers and punctuation are not words. An empty ``learned`` means that nothing is known about the model's words:
    the result is then empty too.
    """
    if not learned:
        return []
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in learned]
