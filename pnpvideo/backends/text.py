"""A checkpoint's text encoder with its tokenizer."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from pnpvideo.backends.checkpoint import TEXT_PARTS
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.loading import load_network, load_reader
from pnpvideo.diffusion.finite import finite
from pnpvideo.errors import ModelError


class TextTower:
    """Embeds texts as the network reads them, in fp32. ``fingerprint`` names weights and tokenizer."""

    def __init__(self, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, fingerprint: str, source: object) -> None:
        """source: named in messages. Raises ModelError where the two do not fit together."""
        self.encoder, self.tokenizer, self.fingerprint = encoder, tokenizer, fingerprint
        self.device = encoder.device
        self.width = int(encoder.config.hidden_size)
        longest = tokenizer.model_max_length
        if not isinstance(longest, int) or longest < 3:
            raise ModelError(
                f"{source}/tokenizer: model_max_length is {longest!r}; accepted is a whole number of tokens from 3 on"
            )
        self.length = min(longest, encoder.config.max_position_embeddings)
        known, embedded = len(tokenizer), encoder.config.vocab_size
        if known > embedded:
            raise ModelError(
                f"{source}: the tokenizer knows {known} tokens and the text encoder {embedded}; "
                "the two do not belong together"
            )

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "TextTower":
        """The text encoder and the tokenizer of a checkpoint's folder. Raises ModelError."""
        encoder: CLIPTextModel = load_network(CLIPTextModel, folder / "text_encoder", torch.float32).to(device)
        return cls(encoder, load_reader(CLIPTokenizer, folder / "tokenizer"), fingerprint(folder, TEXT_PARTS), folder)

    @torch.no_grad()
    def embeds(self, texts: Sequence[str]) -> Tensor:
        """(n, tokens, channels): the last hidden state, every text padded to the tokenizer's length."""
        tokens = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        )
        where = self.encoder.device  # elsewhere, where parts of the model wait off the device
        embedded = self.encoder(tokens.input_ids.to(where)).last_hidden_state.float().to(self.device)
        return finite(embedded, "the text encoder's output")

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
