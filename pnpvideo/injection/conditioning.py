"""What a text conditions a network on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Conditioning:
    """A text, or several in a batch, as the network reads it.

    Without a batch dimension it is one text's; ``batch`` and ``concat`` give it one. All tensors are fp32.
    """

    tokens: Tensor
    """(tokens, channels), or (n, tokens, channels): what cross-attention reads."""
    pooled: Tensor | None = None
    """(channels,), or (n, channels): one vector a text, for networks that add it to the time embedding (SDXL)."""

    def batch(self, count: int = 1) -> "Conditioning":
        """One text's conditioning repeated for ``count`` rows; nothing is copied."""
        return self._each(lambda value: value.expand(count, *value.shape))

    def to(self, device: torch.device | str) -> "Conditioning":
        return self._each(lambda value: value.to(device))

    def with_tokens(self, tokens: Tensor) -> "Conditioning":
        """The same with other tokens."""
        return replace(self, tokens=tokens)

    def equals(self, other: "Conditioning") -> bool:
        """Whether both are the same to the bit."""
        if self.pooled is None or other.pooled is None:
            return self.pooled is other.pooled and torch.equal(self.tokens, other.tokens)
        return torch.equal(self.tokens, other.tokens) and torch.equal(self.pooled, other.pooled)

    @classmethod
    def concat(cls, parts: Sequence["Conditioning"]) -> "Conditioning":
        """Join batches, row after row; either all of them have a pooled vector or none has."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return cls(torch.cat([part.tokens for part in parts]), torch.cat(pooled) if pooled else None)

    def __len__(self) -> int:
        return len(self.tokens)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Conditioning":
        return Conditioning(change(self.tokens), None if self.pooled is None else change(self.pooled))
