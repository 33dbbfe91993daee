"""Scenes: objects on a ground under a sky, a camera, and their motion over time.

One unit of length is about the radius of a large ball; z points up and the ground is z = 0. Angles are in radians.
Time runs from 0 (first frame) to 1 (last frame).
"""

import math
from dataclasses import dataclass, replace
from random import Random

from pnpvideo.miniature.world.shapes import MATERIALS, SHAPES, SIMPLE

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
_SCALE = {"tree": 1.1, "house": 0.85, "boat": 1.05, "figure": 1.2}
THING_MOTIONS = ("roll", "bounce", "slide", "spin", "circle", "still")
CAMERA_MOTIONS = ("orbit", "pan", "zoom", "rise", "dolly")
MOTIONS = (*THING_MOTIONS, *CAMERA_MOTIONS)


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object.

    shape: one of shapes.SHAPES. colour: one of COLOURS. material: one of shapes.MATERIALS. size: half its extent.
    x, y: position on the ground. lift: height above the ground. heading: rotation about z; 0 faces x.
    roll_angle: rotation about its own y axis.
    """

    shape: str
    colour: str
    material: str = "plain"
    size: float = 0.9
    x: float = 0.0
    y: float = 0.0
    lift: float = 0.0
    heading: float = 0.0
    roll_angle: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera at (azimuth, elevation, distance) from ``target``. fov: full vertical angle of view."""

    azimuth: float = 0.0
    elevation: float = 0.3
    distance: float = 6.0
    fov: float = 0.75
    target: tuple[float, float, float] = (0.0, 0.0, 0.8)


@dataclass(frozen=True, kw_only=True)
class Instant:
    """A scene at one moment: the renderer's input. seed: offset of the textures."""

    ground: str
    sky: str
    things: tuple[Thing, ...]
    camera: Camera
    sun_azimuth: float
    sun_elevation: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A scene and its motion. amount: factor on all motions; 0 gives a still.

    motions: entries of THING_MOTIONS apply to the first thing, the second and so on; entries of CAMERA_MOTIONS apply to
    the camera. ("roll", "slide", "orbit") rolls the first thing, slides the second and orbits the camera.
    """

    ground: str
    sky: str
    things: tuple[Thing, ...]
    camera: Camera = Camera()
    sun_azimuth: float = 2.2
    sun_elevation: float = 0.8
    motions: tuple[str, ...] = ("still",)
    amount: float = 1.0
    seed: int = 0

    def at(self, time: float) -> Instant:
        """The scene at ``time`` in [0, 1]."""
        things, camera, slot = list(self.things), self.camera, 0
        for motion in self.motions:
            if motion in CAMERA_MOTIONS:
                camera = _move_camera(camera, motion, self.amount * (time - 0.5))
            elif slot < len(things):
                things[slot] = _move_thing(things[slot], motion, self.amount, time)
                slot += 1
        return Instant(
            ground=self.ground,
            sky=self.sky,
            things=tuple(things),
            camera=camera,
            sun_azimuth=self.sun_azimuth,
            sun_elevation=self.sun_elevation,
            seed=self.seed,
        )


def _move_thing(thing: Thing, motion: str, amount: float, time: float) -> Thing:
    """``thing`` at ``time`` of ``motion``; only balls roll, other shapes slide."""
    if motion in ("roll", "slide", "bounce"):
        distance = 2.4 * amount * (time - 0.5)
        x, y = thing.x + distance * math.cos(thing.heading), thing.y + distance * math.sin(thing.heading)
        thing = replace(thing, x=x, y=y)
        if motion == "roll" and thing.shape == "ball":
            thing = replace(thing, roll_angle=distance / thing.size)
        if motion == "bounce":
            thing = replace(thing, lift=1.1 * abs(amount) * abs(math.sin(2 * math.pi * time)))
    elif motion == "spin":
        thing = replace(thing, heading=thing.heading + 1.6 * amount * time)
    elif motion == "circle":
        radius, angle = 0.8, 2.2 * amount * (time - 0.5)
        ahead, aside = radius * math.sin(angle), radius * (1 - math.cos(angle))
        cos, sin = math.cos(thing.heading), math.sin(thing.heading)
        thing = replace(
            thing,
            x=thing.x + ahead * cos - aside * sin,
            y=thing.y + ahead * sin + aside * cos,
            heading=thing.heading + angle,
        )
    return thing


def _move_camera(camera: Camera, motion: str, progress: float) -> Camera:
    """``camera`` at ``progress``, -0.5 to 0.5 for an amount of 1, of ``motion``."""
    if motion == "orbit":
        return replace(camera, azimuth=camera.azimuth + 0.7 * progress)
    if motion == "pan":
        x, y, z = camera.target
        side = 2.0 * progress
        return replace(camera, target=(x - math.sin(camera.azimuth) * side, y + math.cos(camera.azimuth) * side, z))
    if motion == "zoom":
        return replace(camera, fov=camera.fov * (1.0 - 0.35 * progress))
    if motion == "rise":
        return replace(camera, elevation=max(0.06, camera.elevation + 0.2 * progress))
    return replace(camera, distance=camera.distance * (1.0 - 0.35 * progress))


def random_scene(
    seed: int, *, things: int | None = None, motion: str | None = None, shapes: tuple[str, ...] = tuple(SHAPES)
) -> Scene:
    """Sample a scene; the same arguments give the same scene.

    things: number of objects, 1 to 3; None: mostly one. motion: the only motion; None: random ones. shapes: names to
    choose from.
    """
    rng = Random(seed)
    count = things if things is not None else rng.choices((1, 2, 3), weights=(0.72, 0.2, 0.08))[0]
    azimuth = rng.uniform(-math.pi, math.pi)
    side = (-math.sin(azimuth), math.cos(azimuth))
    toward = (math.cos(azimuth), math.sin(azimuth))
    apart = {1: 0.0, 2: 2.2, 3: 1.8}[count]
    span = {1: (0.8, 1.15), 2: (0.65, 0.9), 3: (0.55, 0.7)}[count]
    placed_things: list[Thing] = []
    colours = rng.sample(list(COLOURS), count)
    for index in range(count):
        across = rng.uniform(-0.9, 0.9) if count == 1 else (index - (count - 1) / 2) * apart + rng.uniform(-0.2, 0.2)
        depth = rng.uniform(-0.8, 0.8)
        shape = rng.choice(shapes)
        material = rng.choices(MATERIALS, weights=(0.6, 0.2, 0.2))[0]
        placed_things.append(
            Thing(
                shape=shape,
                colour=colours[index],
                material=material if shape in SIMPLE else "plain",
                size=rng.uniform(*span) * _SCALE.get(shape, 1.0),
                x=across * side[0] + depth * toward[0],
                y=across * side[1] + depth * toward[1],
                heading=rng.uniform(-math.pi, math.pi),
            )
        )
    return Scene(
        ground=rng.choice(GROUNDS),
        sky=rng.choice(SKIES),
        things=tuple(placed_things),
        camera=Camera(
            azimuth=azimuth,
            elevation=rng.uniform(0.10, 0.30),
            distance=rng.uniform(5.0, 7.5) + (0.5 if count > 1 else 0.0),
            fov=rng.uniform(0.72, 0.88),
            target=(0.0, 0.0, rng.uniform(0.6, 1.2)),
        ),
        sun_azimuth=azimuth + rng.uniform(-2.4, 2.4),
        sun_elevation=rng.uniform(0.5, 1.1),
        motions=(motion,) if motion is not None else _motions(rng, count),
        amount=rng.choice((-1.0, 1.0)) * rng.uniform(0.7, 1.0),
        seed=seed,
    )


def _motions(rng: Random, count: int) -> tuple[str, ...]:
    """Sample the motions of a scene: one motion of the first thing, one of the camera, or one of everything."""
    kind = rng.random()
    if kind < 0.35:
        return (rng.choice(THING_MOTIONS),)
    if kind < 0.65:
        return (rng.choice(CAMERA_MOTIONS),)
    return (*(rng.choice(THING_MOTIONS) for _ in range(count)), rng.choice(CAMERA_MOTIONS))
