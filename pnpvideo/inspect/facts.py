"""What sheets and their JSON files say of a run: sites, levels, inputs."""

from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from pnpvideo.engine.run import Run
from pnpvideo.injection import Kind, Site
from pnpvideo.inspect.record import Level
from pnpvideo.inspect.subjects import Subject


class Inspection(Protocol):
    """What each inspection returns."""

    def sheet(self, height: int = ...) -> Image.Image:
        """Draw it, with tiles of this height in pixels."""
        ...

    def facts(self) -> dict[str, Any]:
        """Its numbers, ready for JSON."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The tensors behind it, by name (docs/inside.md lists names and shapes)."""
        ...


def run_facts(run: Run, subjects: Sequence[Subject]) -> dict[str, Any]:
    return {
        "model": run.options.model,
        "steps": run.schedule.steps,
        "inputs": [subject.facts() for subject in subjects],
    }


def level_facts(level: Level) -> dict[str, Any]:
    return {"level": level.number, "timestep": level.timestep, "noise": level.noise}


def site_facts(site: Site, level: Level) -> dict[str, Any]:
    named = {"site": site.name, "kind": site.kind.value, "part": site.part, "layer": site.layer}
    return {**named, **level_facts(level)}


def site_label(site: Site, grid: tuple[int, int]) -> tuple[str, ...]:
    """The label of a layer's row: part and layer, what it is, and its (h, w)."""
    kind = [] if site.kind is Kind.RESIDUAL else [site.kind.value]
    return (f"{site.part} {site.layer}", *kind, f"{grid[1]} x {grid[0]}")


def tensor_name(subject: int, site: Site, level: Level) -> str:
    """Name of a tensor in a file of raw tensors: the input's number, the site and the level."""
    return f"{subject}/{site.name}/level-{level.number}"


def percents(shares: Sequence[float]) -> str:
    """Such as "41 + 12 + 7%"."""
    return " + ".join(f"{100 * share:.0f}" for share in shares) + "%"
