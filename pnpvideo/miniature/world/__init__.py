"""A procedural world: scenes of simple objects, rendered in several styles from the same geometry.

``scene`` defines objects, camera and motion; ``geometry`` ray-casts G-buffers; ``styles`` shade a G-buffer as a
picture; ``flow`` computes exact optical flow; ``captions`` describes a scene in words.
"""

from pnpvideo.miniature.world.captions import caption
from pnpvideo.miniature.world.flow import Flow, exact_flow
from pnpvideo.miniature.world.geometry import GBuffer, trace_gbuffer
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
    "paint",
    "random_scene",
    "render",
    "trace_gbuffer",
]
