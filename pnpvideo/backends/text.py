"""A checkpoint's text encoder with its tokenizer, or its two of them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from pnpvideo.backends.checkpoint import TEXT_PARTS
from pnpvideo.backends.embedding_file import EmbeddingFile
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.packaging import packaging
from pnpvideo.backends.prompt_tokenizer import PromptTokenizer
from pnpvideo.backends.textual_inversion import add_words, embeddings_fingerprint, spellings_of
from pnpvideo.diffusion.finite import finite
from pnpvideo.errors import ModelError
from pnpvideo.injection import Conditioning

CLASSES: dict[str, Any] = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}


class TextTower(PromptTokenizer):
    """Embeds texts as the network reads them, in fp32. ``fingerprint`` names weights and tokenizer."""

    pooled_width: int | None = None

    def __init__(
        self,
        encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        fingerprint: str,
        source: object,
        spellings: Mapping[str, str] | None = None,
    ) -> None:
        """source: named in messages. spellings: see PromptTokenizer. Raises ModelError where the two do not fit."""
        super().__init__(tokenizer, encoder.config.max_position_embeddings, source, spellings)
        self.encoder, self.fingerprint = encoder, fingerprint
        self.device = encoder.device
        self.width = int(encoder.config.hidden_size)
        known, embedded = len(tokenizer), encoder.config.vocab_size
        if known > embedded:
            raise ModelError(
                f"{source}: the tokenizer knows {known} tokens and the text encoder {embedded}; "
                "the two do not belong together"
            )

    @property
    def encoders(self) -> Mapping[str, Any]:
        """Name of the part -> network."""
        return {"text_encoder": self.encoder}

    @torch.no_grad()
    def embeds(self, texts: Sequence[str]) -> Conditioning:
        """The last hidden state, (n, tokens, channels), every text padded to ``length``."""
        return Conditioning(self.checked(self.read(texts, self.length).last_hidden_state))

    def read(self, texts: Sequence[str], length: int, **asked: bool) -> Any:
        """What the encoder answers to texts that are padded to ``length`` tokens. asked: for more than it answers."""
        tokens = self.tokenizer(
            [self.spelled(text) for text in texts],
            padding="max_length",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        where = self.encoder.device  # elsewhere, where parts of the model wait off the device
        return self.encoder(tokens.input_ids.to(where), **asked)

    def checked(self, value: Tensor) -> Tensor:
        """An answer in fp32 on the model's device. Raises NotFiniteError."""
        return finite(value.float().to(self.device), "the text encoder's output")


class TwoTextTowers(PromptTokenizer):
    """The two text encoders of Stable Diffusion XL (arXiv 2307.01952, section 2.1).

    The tokens are the penultimate hidden states of both, side by side; pooled is the second one's projected embedding
    of the text as a whole. Places of words are the first tokenizer's; the second must have the same vocabulary.
    """

    def __init__(self, first: TextTower, second: TextTower, fingerprint: str, source: object) -> None:
        """Raises ModelError where the two do not fit together."""
        super().__init__(first.tokenizer, min(first.length, second.length), source, first.spellings)
        self.first, self.second, self.fingerprint, self.device = first, second, fingerprint, first.device
        self.width = first.width + second.width
        self.pooled_width: int | None = int(second.encoder.config.projection_dim)
        if first.tokenizer.get_vocab() != second.tokenizer.get_vocab():
            raise ModelError(f"{source}: the two tokenizers have different vocabularies; accepted are two of the same")

    @property
    def encoders(self) -> Mapping[str, Any]:
        return {"text_encoder": self.first.encoder, "text_encoder_2": self.second.encoder}

    @torch.no_grad()
    def embeds(self, texts: Sequence[str]) -> Conditioning:
        answers = [tower.read(texts, self.length, output_hidden_states=True) for tower in (self.first, self.second)]
        tokens = torch.cat([self.first.checked(answer.hidden_states[-2]) for answer in answers], -1)
        return Conditioning(tokens, self.first.checked(answers[1].text_embeds))


Towers = TextTower | TwoTextTowers


def load_text(path: Path, device: torch.device, embeddings: Sequence[EmbeddingFile] = ()) -> Towers:
    """The text encoders and the tokenizers of a checkpoint's folder or single file, with the words of ``embeddings``.

    Raises ModelError.
    """
    source, name = packaging(path), fingerprint(path, TEXT_PARTS)
    widths = {part: source.config(part).get("hidden_size") for part in source.text_parts}
    for embedding in embeddings:
        embedding.check_fits(path, widths)
    encoders = [source.network(CLASSES[part], part, torch.float32) for part in source.text_parts]
    tokenizers = [source.tokenizer(part) for part in source.text_parts]
    for part, encoder, tokenizer in zip(source.text_parts, encoders, tokenizers, strict=True):
        add_words(embeddings, part, encoder, tokenizer)
    if embeddings:
        name = hashlib.sha256(f"{name} {embeddings_fingerprint(embeddings)}".encode()).hexdigest()
    return towers([each.to(device) for each in encoders], tokenizers, name, path, spellings_of(embeddings))


def towers(
    encoders: Sequence[Any],
    tokenizers: Sequence[CLIPTokenizer],
    fingerprint: str,
    source: object,
    spellings: Mapping[str, str] | None = None,
) -> Towers:
    """One text encoder with its tokenizer, or two. spellings: see PromptTokenizer. Raises ModelError."""
    each = [TextTower(*pair, fingerprint, source, spellings) for pair in zip(encoders, tokenizers, strict=True)]
    return each[0] if len(each) == 1 else TwoTextTowers(each[0], each[1], fingerprint, source)
