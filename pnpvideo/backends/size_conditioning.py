"""What Stable Diffusion XL reads besides the tokens: a pooled text, and sizes (arXiv 2307.01952, section 2.2)."""

import torch
from torch import Tensor


def added_conditions(pooled: Tensor | None, width: int, height: int) -> dict[str, Tensor] | None:
    """The argument ``added_cond_kwargs`` of diffusers' UNets; None for a network that reads tokens alone.

    pooled: (n, channels). width, height: of the pictures, in pixels. They are told as an original picture of the
    working size, uncropped: what is drawn is then whole and as sharp as this size allows, and a clip's own number of
    pixels makes no difference. Inversion and sampling are told the same.
    """
    if pooled is None:
        return None
    sizes = (height, width, 0, 0, height, width)  # original, top left corner of the crop, target
    return {"text_embeds": pooled, "time_ids": torch.tensor([sizes] * len(pooled), device=pooled.device).float()}
