"""Stop at NaN and infinity before they become latents, text or pixels."""

import torch
from torch import Tensor

from pnpvideo.errors import NotFiniteError


def finite(value: Tensor, name: str) -> Tensor:
    """Return ``value``; raise NotFiniteError, which names it ``name``, if it holds NaN or infinity."""
    if not bool(torch.isfinite(value).all()):
        raise NotFiniteError(f"{name} holds NaN or infinity; the checkpoint may be damaged")
    return value
