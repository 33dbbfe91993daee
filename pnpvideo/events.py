"""Progress, as plain data: the engine emits events, whoever called decides how to show them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One finished unit of work.

    ``stage`` is one of "load", "read", "encode", "invert", "sample", "decode", "write".
    ``done`` of ``total`` units of that stage are finished in this window of the shot; ``total`` is 0 when unknown.
    ``unit`` names them ("model", "frame" or "step"). ``shot`` counts from 0, ``window`` the windows of a long shot.
    ``frames`` is the number of drawings that this window translates (0 where it does not matter). What is written
    counts over all shots.
    """

    stage: str
    done: int
    total: int
    unit: str
    shot: int = 0
    window: int = 0
    frames: int = 0


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that the user should know and that is no error: a truncated prompt, a resumed run."""

    message: str


Event = Progress | Notice
Report = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A reporter that shows nothing."""


def log(event: Event) -> None:
    """The reporter of library calls where none is given: notices become warnings of the logger "pnpvideo"."""
    if isinstance(event, Notice):
        logging.getLogger("pnpvideo").warning(event.message)
