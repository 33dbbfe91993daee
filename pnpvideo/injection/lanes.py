"""Which rows: a batch is lanes times frames, and only this file knows how."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

SOURCE = "source"


@dataclass(frozen=True)
class Lanes:
    """The batch of one network call: each lane holds the same frames, lane after lane.

    names: such as ("source", "empty", "positive"). frames: the frames' numbers within the shot.
    """

    names: tuple[str, ...]
    frames: tuple[int, ...]

    def rows(self, name: str) -> slice:
        """The rows of one lane."""
        start = self.names.index(name) * len(self.frames)
        return slice(start, start + len(self.frames))

    def split(self, batch: Tensor) -> dict[str, Tensor]:
        """Views of each lane's rows: (lanes * frames, ...) -> name: (frames, ...)."""
        return {name: batch[self.rows(name)] for name in self.names}

    def stack(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The batch from each lane's part (frames, ...)."""
        return torch.cat([parts[name] for name in self.names])

    def spread(self, one_each: Mapping[str, Tensor]) -> Tensor:
        """The batch in which every frame of a lane has the lane's one value (...)."""
        count = len(self.frames)
        return torch.cat([one_each[name].unsqueeze(0).expand(count, *one_each[name].shape) for name in self.names])

    @property
    def edited(self) -> tuple[str, ...]:
        """The lanes that make the result: all but the source's."""
        return tuple(name for name in self.names if name != SOURCE)
