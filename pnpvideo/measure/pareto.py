"""Pareto plots: one measure against others, with a panel for each pair."""

from importlib.util import find_spec
from pathlib import Path

from pnpvideo.errors import OptionError, command_to_install
from pnpvideo.measure.figures import COLUMNS
from pnpvideo.measure.footage import BASELINES
from pnpvideo.publish import published

Rows = dict[str, dict[str, float]]
AXES = ("edges", "masks", "warp")
LOGARITHMIC = ("seconds", "evaluations")
_MARKERS = "osD^vP*<>"  # nine markers and ten colours give ninety combinations


def pareto_front(rows: Rows, axes: tuple[str, ...]) -> list[str]:
    """The Pareto front: recipes such that no other is at least as good on all ``axes`` and better on one."""

    def scores(row: dict[str, float]) -> list[float]:
        return [row[axis] if COLUMNS[axis].better == "high" else -row[axis] for axis in axes]

    def is_dominated(name: str) -> bool:
        own = scores(rows[name])
        others = (scores(row) for other, row in rows.items() if other != name)
        return any(all(a >= b for a, b in zip(each, own, strict=True)) and each != own for each in others)

    return [name for name in rows if not is_dominated(name)]


def marker_and_colour(number: int) -> tuple[str, int]:
    """Marker and colour number (0 to 9) of recipe ``number``, different for the first ninety."""
    return _MARKERS[number % len(_MARKERS)], number % 10


def check_plots() -> None:
    """Raise OptionError if matplotlib is not installed; to be called before hours of measuring."""
    if find_spec("matplotlib") is None:
        raise OptionError(f"a folder of results holds a plot, which matplotlib draws: {command_to_install('plots')}")


def plot_pareto(tasks: dict[str, Rows], path: Path, against: str = "match", axes: tuple[str, ...] = AXES) -> None:
    """Write a PNG with a row of panels for each task: each of ``axes`` against the measure ``against``.

    A recipe that lacks a figure is left out of that panel. Recipes are coloured, baselines grey; rings mark the Pareto
    front.
    """
    check_plots()
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(axes) + 2.2, 4.4 * len(tasks)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(tasks), len(axes), squeeze=False)
    names = list(dict.fromkeys(name for rows in tasks.values() for name in rows))
    recipes, baselines = ([name for name in names if (name in BASELINES) == floor] for floor in (False, True))
    looks = {
        name: (marker_and_colour(n)[0], colormaps["tab10"](marker_and_colour(n)[1])) for n, name in enumerate(recipes)
    }
    looks |= {name: (f"${chr(ord('a') + n)}$", (0.4, 0.4, 0.4, 1.0)) for n, name in enumerate(baselines)}
    for (task, rows), line in zip(tasks.items(), panels, strict=True):
        for axis, panel in zip(axes, line, strict=True):
            there = {name: row for name, row in rows.items() if axis in row and against in row}
            best = pareto_front({name: row for name, row in there.items() if name not in BASELINES}, (axis, against))
            for name, row in there.items():
                x, y = (row[key] * COLUMNS[key].scale for key in (axis, against))
                marker, colour = looks[name]
                panel.scatter(x, y, s=44, marker=marker, color=colour, alpha=0.85, linewidths=0.5, zorder=3)
                if name in best:
                    panel.scatter(x, y, s=170, facecolors="none", edgecolors=colour, linewidths=1.2, zorder=4)
            for key, label, scale in (
                (axis, panel.set_xlabel, panel.set_xscale),
                (against, panel.set_ylabel, panel.set_yscale),
            ):
                better = "more is better" if COLUMNS[key].better == "high" else "less is better"
                label(f"{COLUMNS[key].heading} ({better})")
                if key in LOGARITHMIC:
                    scale("log")
            panel.set_title(task)
            panel.grid(alpha=0.3)
    for name, (marker, colour) in looks.items():
        panels[0, 0].scatter([], [], s=44, marker=marker, color=colour, linewidths=0.5, label=name)
    figure.legend(loc="outside right upper", fontsize=8)
    with published(path) as building:
        figure.savefig(building, dpi=110)
