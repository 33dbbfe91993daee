"""ControlNet (arXiv 2302.05543): a second encoder reads a condition, and its outputs are added in the decoder's input.

The network's skip connections and its middle get the residuals of a ControlNet, times a scale (section 3.2 of the
paper: y = F(x) + Z(F'(x + Z(c)))).
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pnpvideo.injection import WHOLE, Lanes, Moment, NetworkCall, Residuals, Site
from pnpvideo.injection.lanes import SOURCE


class Steering(Protocol):
    """A ControlNet as edits see it."""

    def residuals(self, call: NetworkCall, condition: Tensor) -> Residuals:
        """The residuals of a network call, unscaled. condition: (rows, 3, h, w) in [0, 1], at the pictures' size."""
        ...


def acts(span: tuple[float, float], step: int, steps: int) -> bool:
    """Whether a control with this span acts at ``step`` of ``steps``."""
    first, stop = (int(share * steps + 0.5) for share in span)
    return first <= step < stop


@dataclass(frozen=True, eq=False)
class ControlResiduals:
    """Steer the result's lanes by each frame's own condition; the source's passes stay as they are.

    conditions: (frames, h, w, 3) uint8, of all frames of the window. scale: factor on the residuals. span: shares of
    the run between which it acts, rounded to steps as those of guidance are.
    """

    network: Steering
    conditions: Tensor
    scale: float = 1.0
    span: tuple[float, float] = (0.0, 1.0)

    @property
    def sites(self) -> tuple[Site, ...]:
        return (WHOLE,)

    def begin(self, moment: Moment) -> None:
        """Nothing is kept from step to step."""

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return SOURCE not in lanes.names and acts(self.span, moment.step, moment.steps)

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, call: NetworkCall, moment: Moment, lanes: Lanes) -> Residuals:
        pictures = self.conditions[list(lanes.frames)].to(call.x.device).permute(0, 3, 1, 2)
        one = pictures.to(call.x.dtype) / 255
        found = self.network.residuals(call, torch.cat([one] * len(lanes.names)))
        return Residuals(tuple(self.scale * skip for skip in found.skips), self.scale * found.middle)
