"""Pillow's modes, each to 8 bits a channel."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.video import bit_depth


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F"],
)
def test_every_mode_of_pillow_becomes_8_bits_a_channel(mode: str) -> None:
    grey: dict[str, Any] = {
        "I": 150 << 8,
        "I;16": 150 << 8,
        "I;16B": 150 << 8,
        "F": 150.0,
        "LAB": (155, 128, 128),
        "HSV": (0, 0, 150),
    }
    if mode in grey:
        image = Image.new(mode, (3, 2), grey[mode])
    elif mode in ("La", "RGBa"):
        image = Image.new(mode.upper(), (3, 2), (150, 255) if mode == "La" else (150, 150, 150, 255)).convert(mode)
    else:
        image = Image.new("RGB", (3, 2), (150, 150, 150) if mode != "1" else (255, 255, 255)).convert(mode)
    values = bit_depth.ValueRange(low=0, high=255) if mode == "F" else None
    for alpha, channels in ((False, 3), (True, 4)):
        pixels = bit_depth.to_8_bits(image, alpha, values, lambda text: pytest.fail(text))
        assert pixels.shape == (2, 3, channels)
        assert np.abs(pixels[..., :3].astype(int) - (255 if mode == "1" else 150)).max() <= 4
        assert channels == 3 or (pixels[..., 3] == 255).all()
