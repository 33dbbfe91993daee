"""What there is: things on a ground under a sky, seen by a camera, and how they move with time.

Units: one length unit is about the radius of a large ball; z points up and the ground is z = 0.
Angles are in radians. Time runs from 0 (first frame) to 1 (last frame).
"""

import math
from dataclasses import dataclass, replace
from random import Random

SHAPES = ("ball", "cube", "cylinder", "cone")
COLOURS = {
    "red": (0.86, 0.10, 0.10),
    "orange": (0.96, 0.48, 0.06),
    "yellow": (0.97, 0.85, 0.10),
    "green": (0.10, 0.55, 0.16),
    "blue": (0.10, 0.25, 0.85),
    "purple": (0.50, 0.16, 0.70),
    "white": (0.94, 0.94, 0.94),
    "black": (0.07, 0.07, 0.08),
}
GROUNDS = ("grass", "sand", "snow", "stone")
SKIES = ("day", "sunset", "overcast")
MOTIONS = ("roll", "bounce", "slide", "spin", "orbit", "pan", "zoom", "still")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object. ``size`` is its half extent; (x, y) its place on the ground; ``lift`` its height above it."""

    shape: str
    colour: str
    size: float = 0.9
    x: float = 0.0
    y: float = 0.0
    lift: float = 0.0
    heading: float = 0.0
    rolled: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Looks from (azimuth, elevation, distance) at a target; ``fov`` is the full vertical angle of view."""

    azimuth: float = 0.0
    elevation: float = 0.3
    distance: float = 6.0
    fov: float = 0.75
    target: tuple[float, float, float] = (0.0, 0.0, 0.8)


@dataclass(frozen=True, kw_only=True)
class Instant:
    """A scene at one moment: what the renderer draws."""

    ground: str
    sky: str
    things: tuple[Thing, ...]
    camera: Camera
    sun_azimuth: float
    sun_elevation: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A scene and its motion; ``amount`` scales the motion (1: as sampled, 0: a still)."""

    ground: str
    sky: str
    things: tuple[Thing, ...]
    camera: Camera = Camera()
    sun_azimuth: float = 2.2
    sun_elevation: float = 0.8
    motion: str = "still"
    amount: float = 1.0
    seed: int = 0

    def at(self, time: float) -> Instant:
        """The scene at ``time`` in [0, 1]. The first thing moves, or the camera does."""
        first, camera = self.things[0], self.camera
        phase, amount = time - 0.5, self.amount
        if self.motion in ("roll", "slide", "bounce"):
            along = 2.4 * amount * phase
            dx, dy = along * math.cos(first.heading), along * math.sin(first.heading)
            first = replace(first, x=first.x + dx, y=first.y + dy)
            if self.motion == "roll" and first.shape == "ball":
                first = replace(first, rolled=along / first.size)
            if self.motion == "bounce":
                first = replace(first, lift=1.1 * abs(amount) * abs(math.sin(2 * math.pi * time)))
        elif self.motion == "spin":
            first = replace(first, heading=first.heading + 1.6 * amount * time)
        elif self.motion == "orbit":
            camera = replace(camera, azimuth=camera.azimuth + 0.7 * amount * phase)
        elif self.motion == "pan":
            x, y, z = camera.target
            side = 2.0 * amount * phase
            shift = (-math.sin(camera.azimuth) * side, math.cos(camera.azimuth) * side)
            camera = replace(camera, target=(x + shift[0], y + shift[1], z))
        elif self.motion == "zoom":
            camera = replace(camera, fov=camera.fov * (1.0 - 0.35 * amount * phase))
        return Instant(
            ground=self.ground,
            sky=self.sky,
            things=(first, *self.things[1:]),
            camera=camera,
            sun_azimuth=self.sun_azimuth,
            sun_elevation=self.sun_elevation,
            seed=self.seed,
        )


def random_scene(seed: int, *, things: int | None = None, motion: str | None = None) -> Scene:
    """A scene drawn from the world by ``seed`` alone.

    ``things`` fixes the number of objects (1 to 3; None: mostly one); ``motion`` fixes the motion.
    """
    draw = Random(seed)
    count = things if things is not None else draw.choices((1, 2), weights=(0.85, 0.15))[0]
    azimuth = draw.uniform(-math.pi, math.pi)
    side = (-math.sin(azimuth), math.cos(azimuth))
    toward = (math.cos(azimuth), math.sin(azimuth))
    placed: list[Thing] = []
    colours = draw.sample(list(COLOURS), count)
    for index in range(count):
        across = draw.uniform(-0.9, 0.9) if count == 1 else (index - (count - 1) / 2) * 2.3 + draw.uniform(-0.2, 0.2)
        depth = draw.uniform(-0.8, 0.8)
        placed.append(
            Thing(
                shape=draw.choice(SHAPES),
                colour=colours[index],
                size=draw.uniform(0.7, 1.15) if count == 1 else draw.uniform(0.6, 0.9),
                x=across * side[0] + depth * toward[0],
                y=across * side[1] + depth * toward[1],
                heading=draw.uniform(-math.pi, math.pi),
            )
        )
    return Scene(
        ground=draw.choice(GROUNDS),
        sky=draw.choice(SKIES),
        things=tuple(placed),
        camera=Camera(
            azimuth=azimuth,
            elevation=draw.uniform(0.12, 0.45),
            distance=draw.uniform(5.0, 7.5),
            fov=draw.uniform(0.65, 0.85),
            target=(0.0, 0.0, draw.uniform(0.6, 1.2)),
        ),
        sun_azimuth=azimuth + draw.uniform(-2.4, 2.4),
        sun_elevation=draw.uniform(0.5, 1.1),
        motion=motion if motion is not None else draw.choice(MOTIONS),
        amount=draw.choice((-1.0, 1.0)) * draw.uniform(0.7, 1.0),
        seed=seed,
    )
