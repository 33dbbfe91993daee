"""The check for NaN and infinity that every tensor passes before it becomes latents, text or pixels."""

import torch
from torch import Tensor

from pnpvideo.errors import NotFiniteError


def finite(value: Tensor, name: str) -> Tensor:
    """Return ``value``; raise NotFiniteError if it holds NaN or infinity. name: says in the message what it is."""
    if not bool(torch.isfinite(value).all()):
        raise NotFiniteError(f"{name} holds NaN or infinity; the checkpoint may be damaged")
    return value
