"""Scenes of drawings: one to three moving things in front of a backdrop, the same in every look.

Positions and sizes are shares of the picture's side, from its top left corner. Time runs from 0 to 1.
"""

import math
from dataclasses import dataclass, replace
from random import Random

from pnpvideo.miniature.art.names import Name
from pnpvideo.miniature.world import Instant, random_scene
from pnpvideo.miniature.world.scene import COLOURS

MOTIONS = ("still", "slide", "bounce", "turn", "zoom")
BACKDROP_COLOURS = {
    **COLOURS,
    "white": (1.0, 1.0, 1.0),
    "grey": (0.62, 0.64, 0.67),
    "pink": (0.97, 0.72, 0.80),
    "brown": (0.47, 0.31, 0.20),
    "light blue": (0.68, 0.86, 0.98),
    "light green": (0.74, 0.90, 0.70),
    "cream": (0.98, 0.94, 0.84),
}
"""Colours of plain and graded backdrops, sRGB."""


@dataclass(frozen=True, kw_only=True)
class PlainBackdrop:
    """A backdrop of one colour, or a gradient from ``colour`` at the top to ``below``."""

    colour: str
    below: str | None = None


@dataclass(frozen=True, kw_only=True)
class ArtThing:
    """A drawing centred at (x, y), ``size`` wide, rotated by ``angle`` (radians, clockwise)."""

    name: Name
    x: float
    y: float
    size: float
    angle: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True, kw_only=True)
class ArtInstant:
    """A scene at one moment: things from back to front, before a plain backdrop or the procedural world's ground."""

    things: tuple[ArtThing, ...]
    backdrop: PlainBackdrop | Instant


@dataclass(frozen=True, kw_only=True)
class ArtScene:
    """An ``ArtInstant`` whose things move. motions: one of MOTIONS a thing. amount: factor on them; 0 gives a still."""

    start: ArtInstant
    motions: tuple[str, ...]
    amount: float = 1.0

    def at(self, time: float) -> ArtInstant:
        """The scene at ``time`` in [0, 1]."""
        moved = [_move(*each, self.amount, time) for each in zip(self.start.things, self.motions, strict=True)]
        return replace(self.start, things=tuple(moved))


def _move(thing: ArtThing, motion: str, amount: float, time: float) -> ArtThing:
    along = amount * (time - 0.5)
    if motion == "slide":
        return replace(thing, x=thing.x + 0.35 * along)
    if motion == "bounce":
        return replace(thing, y=thing.y - 0.15 * abs(amount * math.sin(2 * math.pi * time)))
    if motion == "turn":
        return replace(thing, angle=thing.angle + 0.9 * along)
    if motion == "zoom":
        return replace(thing, size=thing.size * math.exp(0.4 * along))
    return thing


def random_art(seed: int, names: tuple[Name, ...]) -> ArtScene:
    """Sample a scene of ``names``: mostly one thing, a third of the time on the procedural world's ground.

    The same arguments give the same scene.
    """
    rng = Random(f"art {seed}")
    count = rng.choices((1, 2, 3), weights=(0.75, 0.18, 0.07))[0]
    span = {1: (0.55, 0.95), 2: (0.42, 0.52), 3: (0.30, 0.36)}[count]
    outside = rng.random() < 0.34
    things = []
    for index, name in enumerate(rng.sample(names, count)):
        size = rng.uniform(*span) * (0.8 if outside else 1.0)
        x = 0.5 + rng.uniform(-0.12, 0.12) if count == 1 else (index + 0.5) / count + rng.uniform(-0.02, 0.02)
        foot = rng.uniform(0.72, 0.94) if outside else 0.5 + size / 2 + rng.uniform(-0.06, 0.06)
        things.append(ArtThing(name=name, x=x, y=foot - size / 2, size=size, mirrored=rng.random() < 0.5))
    backdrop = replace(random_scene(seed).at(rng.random()), things=()) if outside else _plain(rng)
    motions = tuple(rng.choice(MOTIONS) for _ in things)
    amount = rng.choice((-1.0, 1.0)) * rng.uniform(0.6, 1.0)
    return ArtScene(start=ArtInstant(things=tuple(things), backdrop=backdrop), motions=motions, amount=amount)


def _plain(rng: Random) -> PlainBackdrop:
    colour = "white" if rng.random() < 0.2 else rng.choice(list(BACKDROP_COLOURS))
    return PlainBackdrop(colour=colour, below=rng.choice(list(BACKDROP_COLOURS)) if rng.random() < 0.4 else None)
