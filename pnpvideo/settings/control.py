"""The options of ControlNets: what each follows, its weights, its scale, and the steps in which it acts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pnpvideo.errors import OptionError
from pnpvideo.kinds import Files, Spans, WeightedFiles
from pnpvideo.option import Spec, check_options, option

CANNY, TILE = "canny", "tile"
KINDS = (CANNY, TILE)
"""The conditions that are made from the input (video/conditions.py)."""
BROUGHT = (
    *("depth", "hed", "lineart", "lineart_anime", "mlsd", "normal", "normalbae", "openpose", "pose", "scribble"),
    *("seg", "segmentation", "softedge"),
)
"""Conditions that networks of their own make, which the user brings as pictures."""
MOST = 10.0
"""The largest scale; 1 is what ControlNets are trained with."""


class Stated(NamedTuple):
    """One control. condition: one of KINDS, or a path. scale: factor on the residuals. model: path of its ControlNet.
    span: shares of the run between which it acts."""

    condition: str
    scale: float
    model: str
    span: tuple[float, float]

    @property
    def made(self) -> bool:
        """Whether the condition is made from the input."""
        return self.condition in KINDS


@dataclass(frozen=True, kw_only=True)
class Control:
    """ControlNets (arXiv 2302.05543) that steer the result, and what they follow."""

    control: tuple[tuple[str, float], ...] = option(
        (),
        Spec(
            kind=WeightedFiles("control", "canny:0.8", KINDS, 0.0, MOST),
            section="look",
            metavar="KIND|PATH[:SCALE]",
            variable=False,
            help="What a ControlNet follows: canny (edges of INPUT), tile (INPUT itself), or a still, or a clip or "
            "folder with a frame for each of INPUT; may be given again.",
        ),
    )
    controlnet: tuple[str, ...] = option(
        (),
        Spec(
            kind=Files("ControlNet", "control_canny.safetensors"),
            section="look",
            variable=False,
            help="The ControlNet of each --control, in the same order: its folder, or a .safetensors file.",
        ),
    )
    control_span: tuple[tuple[float, float], ...] = option(
        (),
        Spec(
            kind=Spans(),
            section="look",
            variable=False,
            help="Shares of the run between which a --control acts, such as 0:0.6; once for all of them, or for each.",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
        for condition, _ in self.control:
            _check_condition(str(condition))
        if self.control and len(self.control) != len(self.controlnet):
            raise OptionError(
                f"control is given {_times(len(self.control))} and controlnet {_times(len(self.controlnet))}; give "
                "each control the ControlNet that was trained for it, in the same order"
            )
        if len(self.control_span) not in (0, 1, len(self.control)) and self.control:
            raise OptionError(
                f"control_span is given {_times(len(self.control_span))} and control {_times(len(self.control))}; "
                "give one span for all of them, or one for each"
            )

    def stated(self) -> Iterator[Stated]:
        """The controls that act; those of scale 0 change nothing and are left out."""
        spans = self.control_span if len(self.control_span) > 1 else (*self.control_span, (0.0, 1.0))[:1]
        for number, ((condition, scale), model) in enumerate(zip(self.control, self.controlnet, strict=False)):
            if scale != 0:
                yield Stated(str(condition), float(scale), str(model), spans[number if len(spans) > 1 else 0])

    def brought(self) -> list[Path]:
        """The files and folders that hold conditions."""
        return [Path(each.condition) for each in self.stated() if not each.made]


def _check_condition(condition: str) -> None:
    """Raise OptionError for what is no kind and no path."""
    path = Path(condition)
    if condition in KINDS or path.exists():
        return
    if path.name in BROUGHT:
        raise OptionError(
            f"control is {path.name!r}, and a network of its own makes such pictures; make them elsewhere and name the "
            "folder or clip that holds one for each frame of the input"
        )
    if path.name == condition and not path.suffix:
        raise OptionError(
            f"control is {condition!r}; accepted are {', '.join(KINDS)}, or the path of a still, a clip or a folder "
            "with a frame for each of the input's"
        )


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")
