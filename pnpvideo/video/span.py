"""The part of a clip that is to be read: frame numbers or times. Imports nothing heavy, because options need it."""

from dataclasses import dataclass
from fractions import Fraction

from pnpvideo.errors import OptionError


@dataclass(frozen=True)
class TimeSpan:
    """The frames whose timestamps lie in [start_seconds, stop_seconds), relative to the clip's first frame.

    stop_seconds None: to the end of the clip. Times are exact; a float stands for the decimal number that it prints as.
    Raises OptionError for a span that is empty, negative or not finite.
    """

    start_seconds: Fraction
    stop_seconds: Fraction | None = None

    def __init__(self, start_seconds: Fraction | float, stop_seconds: Fraction | float | None = None) -> None:
        start, stop = _exact(start_seconds), None if stop_seconds is None else _exact(stop_seconds)
        object.__setattr__(self, "start_seconds", start)
        object.__setattr__(self, "stop_seconds", stop)
        if start < 0 or (stop is not None and stop <= start):
            raise OptionError(f"the span is {self}; accepted is START:STOP with 0s <= START < STOP, such as 2.5s:4s")

    def __str__(self) -> str:
        """As on the command line: "2.5s:4s", or "2.5s:" to the end."""
        stop = "" if self.stop_seconds is None else f"{float(self.stop_seconds):.9g}s"
        return f"{float(self.start_seconds):.9g}s:{stop}"


Span = tuple[int, int | None] | TimeSpan
"""Frame numbers (start, stop), half-open and counted from 0, with stop None for the end of the clip; or times."""


def _exact(seconds: Fraction | float) -> Fraction:
    try:
        return Fraction(seconds if isinstance(seconds, Fraction) else str(seconds))
    except ValueError:
        raise OptionError(f"a time is {seconds!r}; accepted is a number of seconds, such as 2.5") from None
