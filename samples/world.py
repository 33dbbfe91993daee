"""Render five scenes of the world in each style: ``python -m samples.world`` writes docs/world.jpg."""

from pathlib import Path

import numpy as np
import torch

from pnpvideo.measure.sheet import contact_sheet
from pnpvideo.miniature.world import STYLES, Camera, Scene, Thing, render

PAGE = Path(__file__).parent.parent / "docs" / "world.jpg"
SIZE = 256  # pixels

SCENES = (
    Scene(
        ground="grass",
        sky="day",
        things=(
            Thing(shape="house", colour="red", size=0.95, x=-0.6, y=-0.8, heading=0.5),
            Thing(shape="tree", colour="green", size=0.9, x=-0.4, y=1.3),
        ),
        camera=Camera(elevation=0.2, distance=6.6),
        sun_azimuth=0.9,
        seed=3,
    ),
    Scene(
        ground="stone",
        sky="sunset",
        things=(Thing(shape="car", colour="yellow", size=1.15, heading=0.9),),
        camera=Camera(elevation=0.24, distance=5.6, target=(0.0, 0.0, 0.6)),
        sun_azimuth=-0.8,
        sun_elevation=0.9,
        seed=8,
    ),
    Scene(
        ground="sand",
        sky="day",
        things=(
            Thing(shape="boat", colour="blue", size=0.95, y=-0.8, heading=1.1),
            Thing(shape="figure", colour="orange", size=0.75, x=0.6, y=1.1, heading=-0.3),
        ),
        camera=Camera(elevation=0.2, distance=6.4),
        sun_azimuth=1.2,
        seed=12,
    ),
    Scene(
        ground="snow",
        sky="overcast",
        things=(
            Thing(shape="cube", colour="red", material="wood", size=0.8, y=-1.0, heading=0.6),
            Thing(shape="ball", colour="blue", material="metal", size=0.8, y=1.0),
        ),
        camera=Camera(elevation=0.24, distance=6.2),
        sun_azimuth=0.7,
        seed=21,
    ),
    Scene(
        ground="grass",
        sky="sunset",
        things=(
            Thing(shape="cone", colour="purple", size=0.8, y=-1.1),
            Thing(shape="cylinder", colour="white", size=0.8, x=0.3, y=0.9),
        ),
        camera=Camera(elevation=0.26, distance=6.4),
        sun_azimuth=1.0,
        sun_elevation=0.9,
        seed=34,
    ),
)


def main() -> None:
    rows = {}
    for style in STYLES:
        pictures = [render([scene.at(0.5)], [style], SIZE)[style][0] for scene in SCENES]
        rows[style] = [(picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy() for picture in pictures]
    sheet = contact_sheet(
        {style: np.stack(pictures) for style, pictures in rows.items()}, len(SCENES), 180, unit="scene"
    )
    sheet.save(PAGE, quality=88)
    print(f"{PAGE.name}: {PAGE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
