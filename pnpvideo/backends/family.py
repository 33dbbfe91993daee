"""The families of checkpoints that are read, and what all of a family have in common but no tensor or config says."""

from enum import Enum


class Family(Enum):
    """In words that follow "is" and "for"."""

    SD1 = "Stable Diffusion 1.x"
    SD2 = "Stable Diffusion 2.x"
    SDXL = "Stable Diffusion XL"
    SD3 = "Stable Diffusion 3"

    @property
    def latent_scale(self) -> float:
        """By which latents are multiplied, so that their variance is about 1 (arXiv 2112.10752; XL: 2307.01952)."""
        return {Family.SDXL: 0.13025, Family.SD3: 1.5305}.get(self, 0.18215)

    @property
    def latent_shift(self) -> float:
        """What is taken from latents before they are scaled: their mean, as its published config states it."""
        return 0.0609 if self is Family.SD3 else 0.0

    @property
    def text_parts(self) -> tuple[str, ...]:
        """The names of its text encoders, in the order in which their channels stand."""
        count = {Family.SDXL: 2, Family.SD3: 3}.get(self, 1)
        return ("text_encoder", "text_encoder_2", "text_encoder_3")[:count]


OF_TEXT_WIDTH = {768: Family.SD1, 1024: Family.SD2, 2048: Family.SDXL}
"""By the width of the text that the network reads, in the published sizes."""


def spoken_family(text_width: int) -> str:
    """The family of a network that reads text of this width, in words that follow "for"."""
    known = OF_TEXT_WIDTH.get(text_width)
    return f"a model that reads text of width {text_width}" if known is None else known.value
