"""Batch layout: a batch is lanes x frames. No other module computes row numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pnpvideo.injection.conditioning import Conditioning

SOURCE = "source"
"""The lane of the source prompt."""


@dataclass(frozen=True)
class Lanes:
    """The rows of one network call. A lane is the rows of one prompt; all lanes have the same frames, in one order.

    names: lanes in order, such as ("empty", "positive") or ("source",). frames: indices within the window.
    """

    names: tuple[str, ...]
    frames: tuple[int, ...]

    def rows(self, name: str) -> slice:
        """Rows of one lane."""
        start = self.names.index(name) * len(self.frames)
        return slice(start, start + len(self.frames))

    def split(self, batch: Tensor) -> dict[str, Tensor]:
        """Split a batch (lanes * frames, ...) into views: lane -> (frames, ...)."""
        return {name: batch[self.rows(name)] for name in self.names}

    def stack(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Join each lane's part (frames, ...) into a batch (lanes * frames, ...)."""
        return torch.cat([parts[name] for name in self.names])

    def spread(self, one_each: Mapping[str, Conditioning]) -> Conditioning:
        """Repeat each lane's conditioning for all of its frames: a batch (lanes * frames, ...)."""
        return Conditioning.concat([one_each[name].batch(len(self.frames)) for name in self.names])

    @property
    def edited(self) -> tuple[str, ...]:
        """The lanes that contribute to the result: all but the source lane."""
        return tuple(name for name in self.names if name != SOURCE)
