"""Sprites: one thing in one look, with transparency.

The looks "flat" and "gradient" are vector drawings, rendered by resvg; "3d" are pictures. A sprite is (SIDE, SIDE, 4)
uint8 RGBA.
"""

import io
import json
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.errors import PnPVideoError, command_to_install
from pnpvideo.miniature.art.names import Name
from pnpvideo.miniature.art.packages import FLAT, GRADIENT, THREE_D, fetch_package

SIDE = 256
LOOKS = ("flat", "gradient", "3d")


class Sprites:
    """All things in all looks, from packages under ``folder``, which are downloaded on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sprite(self, name: Name, look: str) -> np.ndarray:
        """The sprite of ``name`` in ``look``, (SIDE, SIDE, 4) uint8. Raises PnPVideoError if there is none."""
        if look == "3d":
            path = fetch_package(self.folder, THREE_D) / "assets" / f"{name.code}.webp"
            if not path.exists():
                raise PnPVideoError(f"there is no 3d drawing of {name.text!r}: {path} is missing")
            with Image.open(path) as opened:
                return np.asarray(opened.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        drawings = self._flat if look == "flat" else self._gradient
        if name.slug not in drawings:
            raise PnPVideoError(f"there is no {look} drawing of {name.text!r}: the package has no {name.slug!r}")
        return rasterise_svg(drawings[name.slug]["body"], SIDE)

    @cached_property
    def _flat(self) -> dict[str, dict[str, str]]:
        return _read_icons(fetch_package(self.folder, FLAT))

    @cached_property
    def _gradient(self) -> dict[str, dict[str, str]]:
        return _read_icons(fetch_package(self.folder, GRADIENT))


def rasterise_svg(body: str, side: int) -> np.ndarray:
    """Render the elements of a 32 x 32 SVG: (side, side, 4) uint8. Raises PnPVideoError without the extra [recipe]."""
    try:
        import resvg_py
    except ImportError as error:
        raise PnPVideoError(f"SVG drawings need resvg: {command_to_install('recipe')}") from error
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{body}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side)
    with Image.open(io.BytesIO(bytes(png))) as opened:
        return np.asarray(opened.convert("RGBA"))


def _read_icons(place: Path) -> dict[str, dict[str, str]]:
    icons: dict[str, dict[str, str]] = json.loads((place / "icons.json").read_text(encoding="utf-8"))["icons"]
    return icons
