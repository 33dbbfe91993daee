"""What a tokenizer says about a prompt: where its words stand, and how much of it is read."""

from transformers import CLIPTokenizer

from pnpvideo.errors import ModelError


class PromptTokenizer:
    """See backend.Text. length: tokens of a text, with those of start and end."""

    def __init__(self, tokenizer: CLIPTokenizer, most: int, source: object) -> None:
        """most: tokens that the text encoder has places for. source: named in messages. Raises ModelError."""
        longest = tokenizer.model_max_length
        if not isinstance(longest, int) or longest < 3:
            raise ModelError(
                f"{source}/tokenizer: model_max_length is {longest!r}; accepted is a whole number of tokens from 3 on"
            )
        self.tokenizer, self.length = tokenizer, min(longest, most)

    def positions(self, text: str, phrase: str) -> tuple[int, ...]:
        """Where ``phrase`` stands among the tokens of ``text``, each time that it does; none where it does not."""
        ids = self.tokenizer(text, truncation=True, max_length=self.length).input_ids
        part = self.tokenizer(phrase).input_ids[1:-1]
        pieces = self.tokenizer.convert_ids_to_tokens(ids)
        starts = [
            n
            for n in range(1, len(ids) - len(part) + 1)
            if part and ids[n : n + len(part)] == part and (n == 1 or pieces[n - 1].endswith("</w>"))
        ]
        return tuple(n + place for n in starts for place in range(len(part)))

    def known(self, word: str) -> bool:
        """Is ``word`` one token?"""
        return len(self.tokenizer(word).input_ids) == 3  # with those of start and end

    def end(self, text: str) -> int:
        """Where the token stands that ends ``text``: what follows it is padding."""
        return len(self.tokenizer(text, truncation=True, max_length=self.length).input_ids) - 1

    def pieces(self, text: str) -> tuple[str, ...]:
        """The tokens of ``text`` as text, without those of start and end; the first one stands at position 1."""
        ids = self.tokenizer(text, truncation=True, max_length=self.length).input_ids
        return tuple(self.tokenizer.decode([piece]) for piece in ids[1:-1])

    def truncation(self, text: str) -> str:
        """The end of ``text`` that lies beyond the tokenizer's limit and is not read; "" if all of it is."""
        ids = self.tokenizer(text, truncation=False).input_ids
        return "" if len(ids) <= self.length else self.tokenizer.decode(ids[self.length - 1 : -1])
