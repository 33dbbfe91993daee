"""A procedural world: scenes of simple things, rendered in several styles from one and the same geometry.

``scene`` says what there is and how it moves, ``geometry`` finds what each pixel sees (the G-buffer),
``styles`` turn a G-buffer into a picture, ``flow`` gives exact motion, ``captions`` say it in words.
"""

from pnpvideo.miniature.world.captions import caption
from pnpvideo.miniature.world.flow import Flow, exact_flow
from pnpvideo.miniature.world.geometry import GBuffer, look
from pnpvideo.miniature.world.scene import Camera, Instant, Scene, Thing, random_scene
from pnpvideo.miniature.world.styles import STYLES, paint, render

__all__ = [
    "STYLES",
    "Camera",
    "Flow",
    "GBuffer",
    "Instant",
    "Scene",
    "Thing",
    "caption",
    "exact_flow",
    "look",
    "paint",
    "random_scene",
    "render",
]
