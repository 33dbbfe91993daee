"""The shapes of objects, each a union of convex solids.

Coordinates are in the object's own frame: origin at mid height, z up, x ahead, in units of the object's ``size``.
"""

import math
from dataclasses import dataclass
from functools import cached_property

PLAIN, METAL, WOOD, GLASS = range(4)
MATERIALS = ("plain", "metal", "wood")
"""Materials of a whole object, in the order of the codes above; glass is for windows only."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Solid:
    """One part of a shape: a unit solid (a key of solids.SOLIDS), scaled by ``extent`` and centred at ``at``.

    colour: sRGB in [0, 1]; None: the colour and the material of the object.
    """

    solid: str
    at: Triple
    extent: Triple
    colour: Triple | None = None
    material: int = PLAIN


@dataclass(frozen=True)
class Shape:
    """A union of solids. half_height: distance from the ground to the frame's origin."""

    half_height: float
    parts: tuple[Solid, ...]

    @cached_property
    def bound(self) -> float:
        """Radius of a sphere around the origin that contains every part."""
        reach = 0.0
        for part in self.parts:
            if part.solid == "ball":
                reach = max(reach, math.hypot(*part.at) + max(part.extent))
            else:
                reach = max(reach, math.hypot(*(abs(c) + e for c, e in zip(part.at, part.extent, strict=True))))
        return reach


_BARK, _SLATE, _PANE, _TYRE = (0.42, 0.27, 0.15), (0.40, 0.29, 0.28), (0.50, 0.68, 0.80), (0.13, 0.13, 0.14)
_SKIN, _HAIR, _TROUSERS, _CANVAS, _LAMP = (
    (0.93, 0.73, 0.58),
    (0.25, 0.16, 0.10),
    (0.22, 0.24, 0.38),
    (0.95, 0.93, 0.85),
    (0.98, 0.95, 0.80),
)


def _pane(at: Triple, extent: Triple) -> Solid:
    return Solid("cube", at, extent, _PANE, GLASS)


SHAPES = {
    "ball": Shape(1.0, (Solid("ball", (0, 0, 0), (1, 1, 1)),)),
    "cube": Shape(0.82, (Solid("cube", (0, 0, 0), (0.82, 0.82, 0.82)),)),
    "cylinder": Shape(0.95, (Solid("cylinder", (0, 0, 0), (0.78, 0.78, 0.95)),)),
    "cone": Shape(1.05, (Solid("cone", (0, 0, 0), (1, 1, 1.05)),)),
    "tree": Shape(
        1.3,
        (
            Solid("cylinder", (0, 0, -0.85), (0.18, 0.18, 0.45), _BARK),
            Solid("ball", (0, 0, 0.42), (0.80, 0.80, 0.86)),
            Solid("ball", (0.42, 0.26, -0.05), (0.52, 0.52, 0.50)),
            Solid("ball", (-0.30, -0.44, -0.02), (0.54, 0.54, 0.50)),
        ),
    ),
    "house": Shape(
        1.0,
        (
            Solid("cube", (0, 0, -0.42), (0.75, 0.95, 0.58)),
            Solid("prism", (0, 0, 0.56), (0.92, 1.08, 0.44), _SLATE),
            Solid("cube", (-0.35, 0.50, 0.72), (0.13, 0.13, 0.30), _SLATE),
            Solid("cube", (0.76, -0.35, -0.60), (0.03, 0.21, 0.40), _BARK),
            _pane((0.76, 0.40, -0.34), (0.03, 0.24, 0.22)),
            _pane((0, 0.96, -0.34), (0.28, 0.03, 0.22)),
            _pane((0, -0.96, -0.34), (0.28, 0.03, 0.22)),
            _pane((-0.76, 0, -0.34), (0.03, 0.40, 0.22)),
        ),
    ),
    "car": Shape(
        0.66,
        (
            Solid("cube", (0, 0, -0.10), (1.20, 0.56, 0.27)),
            Solid("cube", (-0.12, 0, 0.34), (0.62, 0.47, 0.22), _PANE, GLASS),
            Solid("cube", (-0.12, 0, 0.58), (0.60, 0.48, 0.07)),
            *(Solid("wheel", (x, y, -0.37), (0.29, 0.13, 0.29), _TYRE) for x in (-0.70, 0.70) for y in (-0.50, 0.50)),
            *(Solid("ball", (1.19, y, -0.06), (0.06, 0.12, 0.10), _LAMP) for y in (-0.34, 0.34)),
        ),
    ),
    "boat": Shape(
        1.25,
        (
            Solid("hull", (0, 0, -0.85), (1.20, 0.55, 0.40)),
            Solid("cylinder", (0.05, 0, 0.36), (0.05, 0.05, 0.86), _BARK),
            Solid("prism", (0.05, 0, 0.45), (0.78, 0.03, 0.72), _CANVAS),
        ),
    ),
    "figure": Shape(
        1.25,
        (
            *(Solid("cylinder", (0, y, -0.84), (0.15, 0.15, 0.41), _TROUSERS) for y in (-0.18, 0.18)),
            Solid("cylinder", (0, 0, -0.02), (0.27, 0.38, 0.46)),
            *(Solid("cylinder", (0, y, 0.00), (0.11, 0.11, 0.40)) for y in (-0.50, 0.50)),
            Solid("ball", (0, 0, 0.80), (0.34, 0.34, 0.38), _SKIN),
            Solid("ball", (-0.07, 0, 0.92), (0.35, 0.36, 0.33), _HAIR),
        ),
    ),
}
SIMPLE = ("ball", "cube", "cylinder", "cone")
"""The shapes of one part, which may also be of metal or wood."""
