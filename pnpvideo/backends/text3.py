"""The three text encoders of Stable Diffusion 3 (arXiv 2403.03206, section 4 and appendix B.3)."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPTextModelWithProjection, T5EncoderModel, T5TokenizerFast

from pnpvideo.backends.backend import TextBlock
from pnpvideo.backends.checkpoint import TEXT_PARTS
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.loading import load_reader
from pnpvideo.backends.packaging import packaging
from pnpvideo.backends.text import TextTower
from pnpvideo.errors import ModelError
from pnpvideo.injection import Conditioning

CLASSES: dict[str, Any] = {
    "text_encoder": CLIPTextModelWithProjection,
    "text_encoder_2": CLIPTextModelWithProjection,
    "text_encoder_3": T5EncoderModel,
}
CLIPS = ("text_encoder", "text_encoder_2")
T5_LENGTH = 256
"""Tokens of a text that T5 reads, as in diffusers' pipeline."""


class ThreeTextTowers:
    """See backend.Text. First the tokens of both CLIPs, side by side and padded with zeros to ``width``, then T5's.

    Where there is no T5, its tokens are zeros. ``positions`` are of CLIP's tokens; blocks and weights are of both.
    """

    def __init__(self, clips: tuple[TextTower, TextTower], t5: "tuple[Any, Any] | None", width: int) -> None:
        """t5: encoder and tokenizer. width: channels of a token, as the network reads them."""
        self.clips, self.t5, self.width = clips, t5, width
        self.words, self.fingerprint = clips[0], clips[0].fingerprint
        self.length = self.words.length + T5_LENGTH
        self.pooled_width: int | None = sum(int(clip.encoder.config.projection_dim) for clip in clips)

    @property
    def encoders(self) -> Mapping[str, Any]:
        """Name of the part -> network."""
        found = {"text_encoder": self.clips[0].encoder, "text_encoder_2": self.clips[1].encoder}
        return found if self.t5 is None else {**found, "text_encoder_3": self.t5[0]}

    @torch.no_grad()
    def embeds(self, texts: Sequence[str]) -> Conditioning:
        answers = [clip.read(texts, self.words.length, output_hidden_states=True) for clip in self.clips]
        tokens = torch.cat([self.words.checked(answer.hidden_states[-2]) for answer in answers], -1)
        tokens = F.pad(tokens, (0, self.width - tokens.shape[-1]))
        pooled = torch.cat([self.words.checked(answer.text_embeds) for answer in answers], -1)
        return Conditioning(torch.cat((tokens, self._by_t5(texts)), 1), pooled)

    def _by_t5(self, texts: Sequence[str]) -> Tensor:
        if self.t5 is None:
            return torch.zeros((len(texts), T5_LENGTH, self.width), device=self.words.device)
        encoder, _ = self.t5
        return self.words.checked(encoder(self._read_by_t5(texts).input_ids.to(encoder.device))[0])

    def _read_by_t5(self, texts: Sequence[str], **asked: bool) -> Any:
        """What its tokenizer says. asked: for more than token ids."""
        assert self.t5 is not None
        return self.t5[1](
            list(texts), padding="max_length", max_length=T5_LENGTH, truncation=True, return_tensors="pt", **asked
        )

    def positions(self, text: str, phrase: str) -> tuple[int, ...]:
        return self.words.positions(text, phrase)

    def known(self, word: str) -> bool:
        return self.words.known(word)

    def blocks(self, text: str, phrase: str) -> tuple[TextBlock, ...]:
        return (*self.words.blocks(text, phrase), *self._block_of_t5(text, phrase))

    def _block_of_t5(self, text: str, phrase: str) -> tuple[TextBlock, ...]:
        """T5's block; the phrase begins with the token in which its first character is, whole words only, any case."""
        if self.t5 is None:
            return ()
        first, told = self.words.length, self._read_by_t5([text], return_offsets_mapping=True)
        end = int(told.attention_mask[0].sum()) - 1
        words = r"\s+".join(re.escape(word) for word in phrase.split())
        said = re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) if words else None
        stops = [] if said is None else [stop > said.start() for stop in told.offset_mapping[0, :end, 1].tolist()]
        word = first + stops.index(True) if any(stops) else None
        return (TextBlock(first, first + T5_LENGTH, word, first + end),)

    def part_of_tokens(self, parts: Sequence[str]) -> tuple[int | None, ...]:
        return (*self.words.part_of_tokens(parts), *self._part_by_t5(parts))

    def _part_by_t5(self, parts: Sequence[str]) -> list[int | None]:
        """The same of T5's tokens, by the character that each ends with: one that begins a word is of the word."""
        if self.t5 is None:
            return [None] * T5_LENGTH
        told = self._read_by_t5(["".join(parts)], return_offsets_mapping=True, return_special_tokens_mask=True)
        part_of_character = [index for index, part in enumerate(parts) for _ in part]
        ends, special = told.offset_mapping[0, :, 1].tolist(), told.special_tokens_mask[0].tolist()
        return [None if mark else part_of_character[max(0, end - 1)] for end, mark in zip(ends, special, strict=True)]

    def pieces(self, text: str) -> tuple[str, ...]:
        return self.words.pieces(text)

    def truncation(self, text: str) -> str:
        """The end of ``text`` that no encoder reads: T5, where there is one, reads further than CLIP."""
        if self.t5 is None:
            return self.words.truncation(text)
        places = self.t5[1](text, return_offsets_mapping=True, verbose=False).offset_mapping
        return "" if len(places) <= T5_LENGTH else text[places[T5_LENGTH - 1][0] :].strip()


def load_three_texts(path: Path, width: int, device: torch.device, dtype: torch.dtype) -> ThreeTextTowers:
    """The text encoders of a folder or file: CLIP in fp32; T5, which is large, in ``dtype``. Raises ModelError.

    width: channels of a token, as the network reads them.
    """
    source, name, t5 = packaging(path), fingerprint(path, TEXT_PARTS), None
    clips = [source.network(CLASSES[part], part, torch.float32).to(device) for part in CLIPS]
    if "text_encoder_3" in source.text_parts:
        encoder = source.network(T5EncoderModel, "text_encoder_3", dtype).to(device)
        t5 = encoder, load_reader(T5TokenizerFast, path / "tokenizer_3")
    return three_text_towers(clips, [source.tokenizer(part) for part in CLIPS], t5, width, name, path)


def three_text_towers(
    encoders: Sequence[Any],
    tokenizers: Sequence[Any],
    t5: tuple[Any, Any] | None,
    width: int,
    fingerprint: str,
    source: object,
) -> ThreeTextTowers:
    """Two CLIPs with their tokenizers, and T5 with its own. width: see load_three_texts. Raises ModelError."""
    first, second = (TextTower(*pair, fingerprint, source) for pair in zip(encoders, tokenizers, strict=True))
    if t5 is not None and t5[0].config.d_model != width:
        raise ModelError(
            f"{source}: the network reads text of width {width}, T5 writes {t5[0].config.d_model}; the two do not "
            "belong together"
        )
    side_by_side = first.width + second.width
    if side_by_side > width or first.length != second.length:
        raise ModelError(
            f"{source}: the network reads text of width {width}, the two CLIP text encoders write {side_by_side} in "
            f"{first.length} and {second.length} tokens; they do not belong together"
        )
    return ThreeTextTowers((first, second), t5, width)
