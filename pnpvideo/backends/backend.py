"""What the engine needs of a model."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pnpvideo.backends.footprint import Footprint
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.injection import Site


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a checkpoint recommends for itself, read from its ``pnpvideo.json`` where it has one.

    guidance: scale for translation. negative: negative prompt, in which "{source}" stands for the source prompt.
    feature_until, attention_until, fresh_noise: of Plug-and-Play. edit_guidance, edit_negative, cross_attention,
    cross_attention_until: of pix2pix-zero. inversion_rounds: of both (see TranslateOptions). outside_notice: what to
    tell a user whose picture is from outside the model's world: the network, asked for the noise in it a quarter of the
    way up, errs by more than ``familiar_error`` in the mean square. learned_words: all words that its captions had,
    from a list beside it (see learned_words.py); empty: not known.
    """

    guidance: float = 7.5
    negative: str = ""
    feature_until: float = 0.8
    attention_until: float = 0.5
    fresh_noise: float = 0.0
    cross_attention: float = 0.0
    cross_attention_until: float = 1.0
    edit_guidance: float = 5.0
    edit_negative: str = "{source}"
    inversion_rounds: int = 0
    outside_notice: str | None = None
    familiar_error: float = 0.0
    learned_words: frozenset[str] = frozenset()

    def knows_pictures_at(self, size: int, native: int) -> bool:
        """Whether ``familiar_error`` tells familiar pictures from others at this working size of the short side.

        Below half of the model's ``native`` size its error is large for every picture, those of its own world too.
        """
        return self.outside_notice is not None and 2 * size >= native


class Text(Protocol):
    """What reads prompts: ``length`` tokens of ``width`` channels; fingerprint names its weights and tokenizer."""

    fingerprint: str
    length: int
    width: int

    def embeds(self, texts: Sequence[str]) -> Tensor:
        """(n, tokens, channels): each text's embedding, padded to ``length``, fp32."""
        ...

    def positions(self, text: str, phrase: str) -> tuple[int, ...]:
        """Where ``phrase`` stands among the tokens of ``text``, each time that it does; none where it does not."""
        ...

    def known(self, word: str) -> bool:
        """Is ``word`` one token?"""
        ...

    def end(self, text: str) -> int:
        """Where the token stands that ends ``text``: what follows it is padding."""
        ...

    def truncation(self, text: str) -> str:
        """The end of ``text`` that lies beyond ``length`` and is not read; "" if all of it is."""
        ...


class Backend(Protocol):
    """A text-to-image diffusion model in latent space.

    network: runs in ``dtype`` on ``device``. fingerprint names its weights. text: what reads its prompts. captioner:
    folder of its own captioner, if it has one. few_step: was it distilled to draw in few steps? sites are in execution
    order. size is its native size in pixels; working sizes are multiples of ``multiple``.
    """

    network: nn.Module
    device: torch.device
    dtype: torch.dtype
    card: Card
    fingerprint: str
    captioner: str | None
    few_step: bool
    sites: tuple[Site, ...]
    size: int
    multiple: int

    @property
    def text(self) -> Text: ...

    def schedule(self, steps: int, spacing: str = "checkpoint") -> Schedule: ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """(c, h', w') of a picture of that size in pixels."""
        ...

    def footprint(self, width: int, height: int) -> Footprint:
        """What the model and its calls hold, for a picture of that size in pixels."""
        ...

    @property
    def numerics(self) -> tuple[str, ...]:
        """What the last bits of a result depend on besides weights and inputs: device, precision, compiler, torch."""
        ...

    def offload(self) -> bool:
        """Keep only the part at work on the device from now on. Returns False if nothing more can be freed."""
        ...

    def upcast(self) -> AbstractContextManager[None] | None:
        """A context in which the network runs in fp32; None if it does already."""
        ...

    def encode(self, pixels: np.ndarray) -> Tensor:
        """Encode (f, h, w, 3) uint8 RGB to latents (f, c, h', w'), fp32: the posterior's mode, scaled."""
        ...

    def decode(self, latents: Tensor) -> np.ndarray:
        """Decode latents (f, c, h', w') to (f, h, w, 3) uint8 RGB. Raises NotFiniteError instead of a black picture."""
        ...

    def embed(self, text: str) -> Tensor:
        """(tokens, channels): the text's embedding, padded to the tokenizer's length."""
        ...

    def predict(self, x: Tensor, timestep: int, context: Tensor) -> Tensor:
        """The network's raw output for latents (n, c, h', w') with context (n, tokens, channels); fp32 in and out.

        Raises NotFiniteError if it holds NaN or infinity.

        The weights ask for no gradient; one flows to ``x`` where ``x`` asks for it.
        """
        ...
