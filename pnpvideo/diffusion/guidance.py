"""Classifier-free guidance with a negative prompt that comes in, or goes out, along the run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pnpvideo.errors import OptionError

DECAYS = ("constant", "linear", "exp")


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """eps = eps~ + s (eps(positive) - eps~), eps~ = a_i eps(empty) + (1 - a_i) eps(negative).

    (arXiv 2211.12572, section 4 and appendix.) ``scale`` is s; ``empty_share`` is a and ``decay`` how it falls
    from step 0 to the last: "constant" a, "linear" a (1 - i/(T-1)), "exp" a e^(-6 i/(T-1)).
    ``negative`` says whether there is a negative prompt besides the empty caption. ``span``: shares of the run, in
    [0, 1], between which there is guidance; outside, the positive prompt is asked alone (arXiv 2404.07724).
    """

    scale: float
    negative: bool = False
    empty_share: float = 1.0
    decay: str = "linear"
    span: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.decay not in DECAYS:
            raise OptionError(f"decay is {self.decay!r}; accepted: {', '.join(DECAYS)}")
        if not 0.0 <= self.empty_share <= 1.0:
            raise OptionError(f"empty_share is {self.empty_share}; accepted is a number from 0 to 1")

    def share(self, step: int, steps: int) -> float:
        """a_i, the empty caption's share of the negative side at ``step`` of ``steps``."""
        if not self.negative:
            return 1.0
        along = step / max(1, steps - 1)
        if self.decay == "linear":
            return self.empty_share * (1 - along)
        return self.empty_share * (math.exp(-6 * along) if self.decay == "exp" else 1.0)

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
        """The guided output from each lane's own, (f, c, h, w), in fp32."""
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
