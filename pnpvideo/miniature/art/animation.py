"""Animations by artists: the 3D drawings of some names move. The recipe does not train on them."""

from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.errors import PnPVideoError
from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.names import Name
from pnpvideo.miniature.art.packages import ANIMATED, fetch_package
from pnpvideo.miniature.art.scene import BACKDROP_COLOURS, ArtInstant, ArtThing, PlainBackdrop

SHARE = 0.85
"""Width of the drawing, as a share of the picture's."""


def animation(
    folder: Path, name: Name, frames: int, *, every: int = 1, backdrop: str = "light blue", size: int = 256
) -> list[np.ndarray]:
    """Frames of the animation of ``name`` before a plain backdrop, each (size, size, 3) uint8.

    folder: of the packages of drawings; a missing one is downloaded to it. every: takes each ``every``-th frame, of
    which there are 24 a second. Raises PnPVideoError if the drawing does not move for that long.
    """
    path = fetch_package(folder, ANIMATED) / "assets" / f"{name.code}.webp"
    if not path.exists():
        raise PnPVideoError(f"there is no animation of {name.text!r}: {path} is missing")
    side = round(SHARE * size)
    ground = Image.new("RGB", (size, size), tuple(round(255 * value) for value in BACKDROP_COLOURS[backdrop]))
    with Image.open(path) as opened:
        known = getattr(opened, "n_frames", 1)
        if (frames - 1) * every >= known:
            raise PnPVideoError(
                f"the animation of {name.text!r} has {known} frames; {frames}, one in {every}, need "
                f"{(frames - 1) * every + 1}"
            )
        return [_placed(opened, index * every, ground, side) for index in range(frames)]


def animation_caption(name: Name, look: str, backdrop: str = "light blue") -> str:
    """Describe an animation of ``name`` in ``look``, as the recipe's captions do."""
    thing = ArtThing(name=name, x=0.5, y=0.5, size=SHARE)
    return art_caption(ArtInstant(things=(thing,), backdrop=PlainBackdrop(colour=backdrop)), look)


def _placed(opened: Image.Image, index: int, ground: Image.Image, side: int) -> np.ndarray:
    opened.seek(index)
    sprite = opened.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    picture, corner = ground.copy(), (ground.width - side) // 2
    picture.paste(sprite, (corner, corner), sprite)
    return np.asarray(picture)
