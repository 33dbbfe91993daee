"""Classifier-free guidance with a negative prompt whose weight changes during the run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pnpvideo.errors import OptionError

DECAYS = ("constant", "linear", "exp")


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """out = base + s (out(positive) - base), base = a_i out(empty) + (1 - a_i) out(negative).

    (Classifier-free guidance, arXiv 2207.12598, eq. 6; the negative side is Plug-and-Play's, 2211.12572, section 4 and
    appendix.) The outputs may be of any kind of prediction: at given latents each is affine in eps, so the result is
    the same.
    """

    scale: float
    """s; at 1 the positive prompt is evaluated alone."""
    negative: bool = False
    """Is there a negative prompt besides the empty one?"""
    empty_share: float = 1.0
    """a, in [0, 1]: the empty prompt's share of the base at step 0, if there is a negative prompt."""
    decay: str = "linear"
    """How a falls in T steps: "constant", a_i = a; "linear", a (1 - i / (T - 1)); "exp", a e^(-6 i / (T - 1))."""
    span: tuple[float, float] = (0.0, 1.0)
    """Shares of the run between which there is guidance (limited-interval guidance, arXiv 2404.07724)."""

    def __post_init__(self) -> None:
        if self.decay not in DECAYS:
            raise OptionError(f"decay is {self.decay!r}; accepted: {', '.join(DECAYS)}")
        if not 0.0 <= self.empty_share <= 1.0:
            raise OptionError(f"empty_share is {self.empty_share}; accepted is a number from 0 to 1")

    def share(self, step: int, steps: int) -> float:
        """a_i, the empty prompt's share of the base at ``step`` of ``steps``."""
        if not self.negative:
            return 1.0
        progress = step / max(1, steps - 1)
        if self.decay == "linear":
            return self.empty_share * (1 - progress)
        return self.empty_share * (math.exp(-6 * progress) if self.decay == "exp" else 1.0)

    def guided(self, step: int, steps: int) -> bool:
        """Is there guidance at ``step`` of ``steps``?"""
        first, stop = (int(share * steps + 0.5) for share in self.span)
        return self.scale != 1.0 and first <= step < stop

    def lanes(self, step: int, steps: int) -> tuple[str, ...]:
        """The lanes that must be evaluated at ``step``: those whose weight is not zero."""
        if not self.guided(step, steps):
            return ("positive",)
        share = self.share(step, steps)
        empty = ("empty",) if share > 0 else ()
        negative = ("negative",) if share < 1 else ()
        return (*empty, *negative, "positive")

    def combine(self, outputs: Mapping[str, Tensor], step: int, steps: int) -> Tensor:
        """The guided output (f, c, h, w), fp32, from the output of each of ``lanes()``."""
        positive = outputs["positive"].float()
        if not self.guided(step, steps):
            return positive
        share = self.share(step, steps)
        if share == 1.0:
            base = outputs["empty"].float()
        elif share == 0.0:
            base = outputs["negative"].float()
        else:
            base = share * outputs["empty"].float() + (1 - share) * outputs["negative"].float()
        return base + self.scale * (positive - base)
