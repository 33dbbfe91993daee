"""Text conditioning of a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Embeddings of one text, or with a leading batch dimension of several. All tensors are fp32.

    ``batch`` adds the batch dimension; ``concat`` joins batches.
    """

    tokens: Tensor
    """(tokens, channels), or (n, tokens, channels): the input of cross-attention."""
    pooled: Tensor | None = None
    """(channels,), or (n, channels): one vector per text, for networks that add it to the time embedding (SDXL)."""

    def batch(self, count: int = 1) -> "Conditioning":
        """Repeat one text's conditioning for ``count`` rows, as views without a copy."""
        return self._each(lambda value: value.expand(count, *value.shape))

    def to(self, device: torch.device | str) -> "Conditioning":
        return self._each(lambda value: value.to(device))

    def with_tokens(self, tokens: Tensor) -> "Conditioning":
        """A copy with other tokens."""
        return replace(self, tokens=tokens)

    def equals(self, other: "Conditioning") -> bool:
        """Whether all tensors are bitwise equal."""
        if self.pooled is None or other.pooled is None:
            return self.pooled is other.pooled and torch.equal(self.tokens, other.tokens)
        return torch.equal(self.tokens, other.tokens) and torch.equal(self.pooled, other.pooled)

    @classmethod
    def concat(cls, parts: Sequence["Conditioning"]) -> "Conditioning":
        """Join batches along the batch dimension; all of them must have pooled vectors, or none."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return cls(torch.cat([part.tokens for part in parts]), torch.cat(pooled) if pooled else None)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> "Conditioning":
        """One text's conditioning out of a batch."""
        return self._each(lambda value: value[index])

    def zeros(self) -> "Conditioning":
        """A copy of which every number is zero."""
        return self._each(torch.zeros_like)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Conditioning":
        return Conditioning(change(self.tokens), None if self.pooled is None else change(self.pooled))
