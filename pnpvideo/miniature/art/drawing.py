"""Render a scene of drawings in one look: the backdrop, then each thing with its shadow."""

import cv2
import numpy as np

from pnpvideo.miniature.art.scene import BACKDROP_COLOURS, ArtInstant, ArtThing, PlainBackdrop
from pnpvideo.miniature.art.sprites import SIDE, Sprites
from pnpvideo.miniature.world import Instant, render

BACKDROP_STYLES = {"flat": "cartoon", "gradient": "clay", "3d": "photo"}
"""The style of the procedural world that serves as the backdrop of each look."""
_SOFT_SHADOW = {"flat": 0.0, "gradient": 0.06, "3d": 0.12}
"""Blur of the shadow on the ground, as a share of the thing's size."""


def draw_scene(scene: ArtInstant, look: str, sprites: Sprites, size: int = SIDE) -> np.ndarray:
    """Render ``scene`` in ``look``: (size, size, 3) uint8."""
    picture = draw_backdrop(scene.backdrop, look, size)
    for thing in scene.things:
        sprite = place_sprite(thing, sprites.sprite(thing.name, look), size)
        if isinstance(scene.backdrop, Instant):
            shade = _ground_shadow(sprite[..., 3], _SOFT_SHADOW[look] * thing.size * size)
            picture = picture * (1 - 0.45 * shade[..., None])
        picture = picture * (1 - sprite[..., 3:]) + sprite[..., :3]
    levels: np.ndarray = (picture * 255).round().clip(0, 255)
    return levels.astype(np.uint8)


def draw_backdrop(ground: PlainBackdrop | Instant, look: str, size: int) -> np.ndarray:
    """Render a backdrop: (size, size, 3) float in [0, 1]."""
    if isinstance(ground, Instant):
        style = BACKDROP_STYLES[look]
        return render([ground], [style], size)[style][0].permute(1, 2, 0).contiguous().numpy()
    above, below = (
        np.array(BACKDROP_COLOURS[colour], np.float32) for colour in (ground.colour, ground.below or ground.colour)
    )
    share = np.linspace(0, 1, size)[:, None, None]
    graded: np.ndarray = above * (1 - share) + below * share
    return np.broadcast_to(graded, (size, size, 3)).astype(np.float32)


def place_sprite(thing: ArtThing, sprite: np.ndarray, size: int) -> np.ndarray:
    """Transform ``sprite`` to the pose of ``thing``: (size, size, 4) float in [0, 1], premultiplied by alpha."""
    whole: np.ndarray = sprite.astype(np.float32) / 255
    whole[..., :3] *= whole[..., 3:]
    if thing.mirrored:
        whole = whole[:, ::-1]
    while whole.shape[0] >= 2 * thing.size * size:  # halve large sprites first: interpolation alone would alias
        whole = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    to_picture = pose(thing, whole.shape[0], size)[:2]
    moved = cv2.warpAffine(np.ascontiguousarray(whole), to_picture, (size, size), flags=cv2.INTER_CUBIC)
    return moved.clip(0, 1)


def pose(thing: ArtThing, side: int, size: int) -> np.ndarray:
    """The matrix (3, 3) from (x, y, 1) in a sprite ``side`` pixels wide to a picture of ``size`` pixels."""
    scale, middle = thing.size * size / side, side / 2 - 0.5
    cos, sin = scale * np.cos(thing.angle), scale * np.sin(thing.angle)
    return np.array(
        [
            [cos, -sin, thing.x * size - 0.5 - cos * middle + sin * middle],
            [sin, cos, thing.y * size - 0.5 - sin * middle - cos * middle],
            [0, 0, 1],
        ]
    )


def _ground_shadow(alpha: np.ndarray, soft: float) -> np.ndarray:
    """An ellipse under the lowest part of a thing, (h, w) in [0, 1]. soft: blur in pixels."""
    rows, columns = np.nonzero(alpha > 0.5)
    shade = np.zeros_like(alpha)
    if not len(rows):
        return shade
    lowest = columns[rows > rows.max() - max(2, np.ptp(rows) // 6)]
    middle, half = (lowest.min() + lowest.max()) / 2, max(4.0, np.ptp(lowest) * 0.55)
    cv2.ellipse(
        shade, (round(middle), int(rows.max())), (round(half), round(half * 0.22) + 1), 0, 0, 360, 1.0, -1, cv2.LINE_AA
    )
    return cv2.GaussianBlur(shade, (0, 0), soft) if soft > 0.3 else shade
