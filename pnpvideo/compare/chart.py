"""A curve as a page draws it: SVG paths in a box of WIDTH x HEIGHT units, x to the right and y down, and texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from pnpvideo.compare.curves import Curve

WIDTH, HEIGHT = 1000, 100


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One curve of all clips."""

    name: str
    meaning: str
    low: str
    """The value at the bottom, as text; and at the top:"""
    high: str
    paths: tuple[str, ...]
    """For each clip, the ``d`` of its SVG path."""
    texts: tuple[tuple[str, ...], ...]
    """For each clip, its value at each moment, as text."""
    means: tuple[str, ...]
    """For each clip, its mean, as text."""
    worst: int
    """The moment of the worst value of any result."""


def chart_of(curve: Curve) -> Chart:
    """The chart of a curve that has at least one value."""
    low, high = curve.range
    results = [
        (value, moment) for values in curve.values[1:] for moment, value in enumerate(values) if value is not None
    ]
    worst = (max if curve.better == "low" else min)(results, default=(0.0, 0), key=lambda pair: pair[0])

    def text(value: float | None) -> str:
        return "–" if value is None else f"{value:.{curve.digits}f}"

    return Chart(
        name=curve.name,
        meaning=f"{curve.meaning}; {'lower' if curve.better == 'low' else 'higher'} is better",
        low=text(low),
        high=text(high),
        paths=tuple(path_of(values, low, high) for values in curve.values),
        texts=tuple(tuple(text(value) for value in values) for values in curve.values),
        means=tuple(text(_mean(values)) for values in curve.values),
        worst=worst[1],
    )


def path_of(values: Sequence[float | None], low: float, high: float) -> str:
    """The ``d`` of a path through the values, evenly spaced, with gaps where a value is None.

    low, high: the values at the bottom and at the top of the box. A value between two gaps becomes a dot (a line of no
    length with round ends); a clip of one value becomes a line over the whole width.
    """
    if len(values) == 1:
        return "" if values[0] is None else f"M0 {_y(values[0], low, high)}H{WIDTH}"
    drawn, pen_is_down = list[str](), False
    for number, value in enumerate(values):
        if value is not None:
            point = f"{WIDTH * number / (len(values) - 1):.6g} {_y(value, low, high)}"
            drawn.append(f"L{point}" if pen_is_down else f"M{point}h0")
        pen_is_down = value is not None
    return "".join(drawn)


def _y(value: float, low: float, high: float) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    return f"{HEIGHT * (1 - share):.6g}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
