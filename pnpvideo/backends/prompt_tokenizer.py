"""What a tokenizer says about a prompt: where its words stand, and how much of it is read."""

import re
from collections.abc import Mapping, Sequence

from transformers import CLIPTokenizer

from pnpvideo.backends.backend import TextBlock, part_by_end
from pnpvideo.errors import ModelError


class PromptTokenizer:
    """See backend.Text. length: tokens of a text, with those of start and end."""

    def __init__(
        self, tokenizer: CLIPTokenizer, most: int, source: object, spellings: Mapping[str, str] | None = None
    ) -> None:
        """most: tokens that the text encoder has places for. source: named in messages. spellings: words of textual
        inversions -> a sign for each of their tokens, which the tokenizer knows. Raises ModelError.
        """
        longest = tokenizer.model_max_length
        if not isinstance(longest, int) or longest < 3:
            raise ModelError(
                f"{source}/tokenizer: model_max_length is {longest!r}; accepted is a whole number of tokens from 3 on"
            )
        self.tokenizer, self.length, self.spellings = tokenizer, min(longest, most), dict(spellings or {})
        self._signs = {word.lower(): signs for word, signs in self.spellings.items()}
        words = "|".join(re.escape(word) for word in sorted(self._signs, key=len, reverse=True))
        self._word = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def spelled(self, text: str) -> str:
        """``text`` as the tokenizer reads it, with signs for the words of textual inversions."""
        return text if self._word is None else self._word.sub(lambda found: self._signs[found[0].lower()], text)

    def _ids(self, text: str, truncation: bool = True) -> list[int]:
        read = self.spelled(text)
        limit = {"truncation": True, "max_length": self.length} if truncation else {"verbose": False}
        ids: list[int] = self.tokenizer(read, **limit).input_ids
        return ids

    def _text(self, ids: list[int]) -> str:
        """The text of tokens, with words for signs."""
        text = self.tokenizer.decode(ids)
        for word, signs in self.spellings.items():
            text = re.sub(f"[{signs}]+", f" {word} ", text)
        return text if not self.spellings else " ".join(text.split())

    def positions(self, text: str, phrase: str) -> tuple[int, ...]:
        """Where ``phrase`` stands among the tokens of ``text``, each time that it does; none where it does not."""
        ids, part = self._ids(text), self._ids(phrase, truncation=False)[1:-1]
        added = {sign for signs in self.spellings.values() for sign in signs}
        pieces = self.tokenizer.convert_ids_to_tokens(ids)
        starts = [
            n
            for n in range(1, len(ids) - len(part) + 1)
            if part
            and ids[n : n + len(part)] == part
            and (n == 1 or pieces[n - 1].endswith("</w>") or pieces[n - 1] in added)
        ]
        return tuple(n + place for n in starts for place in range(len(part)))

    def known(self, word: str) -> bool:
        """Is ``word`` one token?"""
        return len(self._ids(word, truncation=False)) == 3  # with those of start and end

    def end(self, text: str) -> int:
        """Where the token stands that ends ``text``: what follows it is padding."""
        return len(self._ids(text)) - 1

    def blocks(self, text: str, phrase: str) -> tuple[TextBlock, ...]:
        """See backend.Text: one block, of all tokens."""
        return (TextBlock(0, self.length, next(iter(self.positions(text, phrase)), None), self.end(text)),)

    def part_of_tokens(self, parts: Sequence[str]) -> tuple[int | None, ...]:
        """See backend.Text."""
        return part_by_end(self.end, self.length, parts)

    def pieces(self, text: str) -> tuple[str, ...]:
        """The tokens of ``text`` as text, without those of start and end; the first one stands at position 1."""
        return tuple(self._text([piece]) for piece in self._ids(text)[1:-1])

    def truncation(self, text: str) -> str:
        """The end of ``text`` that lies beyond the tokenizer's limit and is not read; "" if all of it is."""
        ids = self._ids(text, truncation=False)
        return "" if len(ids) <= self.length else self._text(ids[self.length - 1 : -1])
