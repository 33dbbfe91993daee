"""The scenes, shots and timing of the sample clips."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pnpvideo.miniature.world import Camera, Instant, Scene, Thing, caption

FOLDER = Path(__file__).parent
SIZE = 256  # pixels
FPS = 12
RIGHT = math.pi / 2  # the heading from left to right for a camera at azimuth 0


@dataclass(frozen=True, kw_only=True)
class SampleShot:
    """One shot: ``drawings`` evenly spaced moments of ``scene``, each shown for ``hold`` frames."""

    scene: Scene
    drawings: int
    hold: int = 1

    def instants(self) -> list[Instant]:
        """The moment of each drawing."""
        return [self.scene.at(index / (self.drawings - 1)) for index in range(self.drawings)]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One clip. All shots have the same caption, because a clip is translated with one prompt."""

    name: str
    note: str
    shots: tuple[SampleShot, ...]

    @property
    def frames(self) -> int:
        return sum(shot.drawings * shot.hold for shot in self.shots)

    def path(self, truth: bool = False) -> Path:
        """Path of the clip or of its ground truth."""
        return FOLDER / f"{self.name}{'.truth' if truth else ''}.mp4"

    def description(self) -> dict[str, object]:
        """The entry of the clip in captions.json; shots are half-open spans of frames, counted from 0."""
        edges = [0]
        for shot in self.shots:
            edges.append(edges[-1] + shot.drawings * shot.hold)
        scene = self.shots[0].scene
        return {
            "source_prompt": caption(scene, "cartoon"),
            "prompt": caption(scene, "photo"),
            "frames": self.frames,
            "drawings": sum(shot.drawings for shot in self.shots),
            "shots": [list(span) for span in pairwise(edges)],
            "note": self.note,
        }


SAMPLES = (
    Sample(
        name="ball",
        note="a ball rolls from left to right",
        shots=(
            SampleShot(
                drawings=16,
                scene=Scene(
                    ground="grass",
                    sky="sunset",
                    things=(Thing(shape="ball", colour="red", size=0.95, heading=RIGHT),),
                    camera=Camera(elevation=0.22, distance=6.4),
                    sun_azimuth=-1.1,
                    sun_elevation=0.9,
                    motions=("roll",),
                    amount=0.9,
                    seed=11,
                ),
            ),
        ),
    ),
    Sample(
        name="cube",
        note="a cube turns about its upright axis",
        shots=(
            SampleShot(
                drawings=24,
                scene=Scene(
                    ground="snow",
                    sky="day",
                    things=(Thing(shape="cube", colour="blue", size=1.1, heading=0.3),),
                    camera=Camera(elevation=0.32, distance=6.0),
                    sun_azimuth=1.0,
                    sun_elevation=0.8,
                    motions=("spin",),
                    seed=23,
                ),
            ),
        ),
    ),
    Sample(
        name="orbit",
        note="the camera moves around a cone",
        shots=(
            SampleShot(
                drawings=24,
                scene=Scene(
                    ground="stone",
                    sky="overcast",
                    things=(Thing(shape="cone", colour="orange", size=1.1),),
                    camera=Camera(azimuth=0.5, elevation=0.3, distance=6.2),
                    sun_azimuth=1.6,
                    motions=("orbit",),
                    seed=37,
                ),
            ),
        ),
    ),
    Sample(
        name="twos",
        note="a ball bounces, animated on twos: each drawing is held for two frames",
        shots=(
            SampleShot(
                drawings=12,
                hold=2,
                scene=Scene(
                    ground="sand",
                    sky="day",
                    things=(Thing(shape="ball", colour="red", size=0.9, heading=RIGHT),),
                    camera=Camera(elevation=0.24, distance=6.6, target=(0.0, 0.0, 1.1)),
                    sun_azimuth=-1.0,
                    sun_elevation=0.9,
                    motions=("bounce",),
                    amount=0.62,
                    seed=41,
                ),
            ),
        ),
    ),
    Sample(
        name="cut",
        note="two shots with a hard cut between them: a cylinder slides past, then another one, seen closer from above",
        shots=(
            SampleShot(
                drawings=12,
                scene=Scene(
                    ground="grass",
                    sky="day",
                    things=(Thing(shape="cylinder", colour="yellow", size=0.8, heading=RIGHT),),
                    camera=Camera(elevation=0.18, distance=7.2),
                    sun_azimuth=1.2,
                    motions=("slide",),
                    seed=53,
                ),
            ),
            SampleShot(
                drawings=12,
                scene=Scene(
                    ground="grass",
                    sky="day",
                    things=(Thing(shape="cylinder", colour="yellow", size=1.15, x=0.2, y=0.3, heading=-RIGHT),),
                    camera=Camera(elevation=0.45, distance=5.2, target=(0.0, 0.0, 0.9)),
                    sun_azimuth=-1.4,
                    motions=("slide",),
                    amount=0.35,
                    seed=59,
                ),
            ),
        ),
    ),
    Sample(
        name="pan",
        note="the camera pans over two things",
        shots=(
            SampleShot(
                drawings=24,
                scene=Scene(
                    ground="sand",
                    sky="sunset",
                    things=(
                        Thing(shape="cube", colour="green", size=0.75, x=0.2, y=-1.0, heading=0.5),
                        Thing(shape="ball", colour="white", size=0.75, x=-0.3, y=1.0),
                    ),
                    camera=Camera(elevation=0.28, distance=7.4, fov=0.8),
                    sun_azimuth=0.9,
                    sun_elevation=0.9,
                    motions=("pan",),
                    amount=0.8,
                    seed=67,
                ),
            ),
        ),
    ),
)
