"""Progress, as plain data: the engine emits events, whoever called decides how to show them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # events are imported before anything heavy is
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One finished unit of work; with ``done`` 0, a stage that begins.

    ``stage`` is one of "read", "download", "load", "embed", "encode", "invert", "sample", "decode", "write"; of other
    work than a translation also "batch", "cell", "inspect", "measure", "teach", "train", "trial", "write sentences".
    ``done`` of ``total`` units of that stage are finished in this window of the shot; ``total`` is 0 when unknown.
    ``unit`` names them ("byte", "cell", "edit", "frame", "input", "level", "libraries", "model", "page", "pair",
    "recipe", "row", "sentence", "step" or "trial"). ``shot`` counts from 1, and so does ``window``, the windows of a
    long shot; 0: the stage belongs to none. ``shots`` is the number of shots, 0 while it is not known. ``frames`` is
    the number of drawings that this window translates (0 where it does not matter). What is written counts over all
    shots. ``overall`` is the share of the whole run that is done, 0 to 1, by the estimated work of each stage; None
    where it is not known.
    """

    stage: str
    done: int
    total: int
    unit: str
    shot: int = 0
    window: int = 0
    frames: int = 0
    shots: int = 0
    overall: float | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that the user should know and that is no error: a truncated prompt, a resumed run."""

    message: str


@dataclass(frozen=True, kw_only=True, eq=False)
class StepPicture:
    """What one drawing of an unfinished window would become: the network's estimate of its clean picture.

    Only with the option ``preview_every``. picture: (h, w, 3) uint8 at the working size. step: of ``steps``, counted
    from 1. shot, window: as in Progress. seconds: time of the drawing.
    """

    picture: "np.ndarray"
    step: int
    steps: int
    shot: int
    window: int
    seconds: float


Event = Progress | Notice | StepPicture
Report = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A reporter that shows nothing."""


def log(event: Event) -> None:
    """The reporter of library calls where none is given: notices become warnings of the logger "pnpvideo"."""
    if isinstance(event, Notice):
        logging.getLogger("pnpvideo").warning(event.message)
