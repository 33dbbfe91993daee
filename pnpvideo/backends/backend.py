"""What the engine needs of a model."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pnpvideo.backends.footprint import Footprint
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.injection import Conditioning, Site
from pnpvideo.settings.card import Card

if TYPE_CHECKING:
    from pnpvideo.backends.controlnet import ControlNetwork


class TextBlock(NamedTuple):
    """Tokens ``first`` to ``stop`` - 1 of a text, which hold all of it once; places count from the text's first token.

    word: where a phrase begins, None where it is not said. end: of the token that ends the text; padding follows.
    """

    first: int
    stop: int
    word: int | None
    end: int


class Text(Protocol):
    """What reads prompts: ``length`` tokens of ``width`` channels; fingerprint names its weights and tokenizer.

    pooled_width: channels of the text as a whole; None where the network is not told that.
    """

    fingerprint: str
    length: int
    width: int
    pooled_width: int | None

    def embeds(self, texts: Sequence[str]) -> Conditioning:
        """Each text's embedding, padded to ``length``: tokens (n, length, width), fp32, and a pooled part if there is
        one."""
        ...

    def positions(self, text: str, phrase: str) -> tuple[int, ...]:
        """Where ``phrase`` stands among the tokens of ``text``, each time that it does; none where it does not."""
        ...

    def known(self, word: str) -> bool:
        """Is ``word`` one token?"""
        ...

    def blocks(self, text: str, phrase: str) -> tuple[TextBlock, ...]:
        """Where ``phrase`` first stands and where ``text`` ends, in the tokens of each tokenizer that reads it."""
        ...

    def part_of_tokens(self, parts: Sequence[str]) -> tuple[int | None, ...]:
        """For each of the ``length`` tokens of the text that these parts make up: the index of its part.

        None for tokens that start, end or pad the text. Each part is a whole number of tokens.
        """
        ...

    def pieces(self, text: str) -> tuple[str, ...]:
        """The tokens of ``text`` as text, without those of start and end; the first one stands at position 1."""
        ...

    def truncation(self, text: str) -> str:
        """The end of ``text`` that lies beyond ``length`` and is not read; "" if all of it is."""
        ...


def part_by_end(end_of: Callable[[str], int], length: int, parts: Sequence[str]) -> tuple[int | None, ...]:
    """Text.part_of_tokens for texts of ``length`` tokens, a part ends where the text up to it does.

    end_of: text -> the place of the token that ends it.
    """
    found: list[int | None] = [None] * length
    first = 1
    for index in range(len(parts)):
        end = end_of("".join(parts[: index + 1]))
        found[first:end] = [index] * (end - first)
        first = end
    return tuple(found)


class Backend(Protocol):
    """A text-to-image diffusion model in latent space.

    network: runs in ``dtype`` on ``device``. fingerprint names its weights. text: what reads its prompts. captioner:
    folder of its own captioner, if it has one. few_step: was it distilled to draw in few steps? sites are in execution
    order. size is its native size in pixels; working sizes are multiples of ``multiple``. busy: held by whoever makes
    network calls, for edits are installed in the network itself, and threads may share a backend.
    """

    network: nn.Module
    busy: AbstractContextManager[Any]
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

    @property
    def prediction(self) -> str:
        """What the network predicts: "epsilon", "sample", "v_prediction" or "flow"."""
        ...

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

    def controlnets(self, paths: Sequence[str]) -> "tuple[ControlNetwork, ...]":
        """Load ControlNets, each a folder or file, for this model; those that are loaded are used again. Raises
        ModelError for one that does not fit it."""
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

    def embed(self, text: str) -> Conditioning:
        """What ``text``, padded to the tokenizer's length, conditions the network on; without a batch dimension.

        For "" this may be other than its embedding: some networks were trained with zeros in its place.
        """
        ...

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        """The network's raw output for latents (n, c, h', w') with a conditioning of n rows; fp32 in and out.

        Raises NotFiniteError if it holds NaN or infinity.

        The weights ask for no gradient; one flows to ``x`` where ``x`` asks for it.
        """
        ...
