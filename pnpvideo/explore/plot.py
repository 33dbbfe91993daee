"""Plot a search: agreement with the prompt against structure distance, one point a trial."""

from pathlib import Path

from pnpvideo.explore.tuning import Tuning
from pnpvideo.publish import published

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#8a909c"


def plot_tuning(tuning: Tuning, path: Path, *, overwrite: bool = False) -> None:
    """Write a picture; defaults and best are marked, the bound is a line. Needs matplotlib. Raises OutputError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    structure, agreement = [one.structure for one in tuning.tried], [one.agreement for one in tuning.tried]
    panel.scatter(structure, agreement, s=34, color=GREY, zorder=3)
    panel.scatter(structure[0], agreement[0], s=70, color=BLUE, zorder=4, label="defaults (trial 1)")
    best = tuning.best
    panel.scatter(
        structure[best],
        agreement[best],
        s=210,
        facecolors="none",
        edgecolors=ORANGE,
        linewidths=2.0,
        zorder=5,
        label=f"best (trial {best + 1})",
    )
    for index, place in enumerate(zip(structure, agreement, strict=True)):
        panel.annotate(str(index + 1), place, textcoords="offset points", xytext=(7, 5), fontsize=8, color="#4a5060")
    goal = tuning.goal
    if goal.max_structure is not None:
        panel.axvline(goal.max_structure, color=BLUE, linewidth=1.0, linestyle="--", label="bound")
    if goal.min_agreement is not None:
        panel.axhline(goal.min_agreement, color=BLUE, linewidth=1.0, linestyle="--", label="bound")
    panel.set_xlabel("structure distance to the source (less is better)")
    panel.set_ylabel("agreement with the prompt (more is better)")
    panel.grid(alpha=0.25)
    panel.legend(loc="best", fontsize=9)
    panel.set_title(tuning.flags(), fontsize=10)
    with published(path, overwrite=overwrite) as building:
        figure.savefig(building, dpi=120, format=path.suffix[1:] or "png")
