"""Many translations, and one again: run the rows of a jobs file, and make a result anew from its sidecar.

    run("jobs.toml")            translate every row that is not done yet; a BatchReport
    run("jobs.toml", engine=RayCluster())    the same on the machines of a Ray cluster; the extra ``ray`` installs Ray
    translate_row(row)          translate one row, here or on another machine; an Outcome
    again("out.mp4.json")       make a result again, and compare it with the first

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnpvideo.batch.ray_cluster import RayCluster
    from pnpvideo.batch.repetition import Repetition, again
    from pnpvideo.batch.rows import Common, Row
    from pnpvideo.batch.runner import BatchReport, run
    from pnpvideo.batch.work import Outcome, translate_row

__all__ = ["BatchReport", "Common", "Outcome", "RayCluster", "Repetition", "Row", "again", "run", "translate_row"]

_MODULES = {
    **dict.fromkeys(("BatchReport", "run"), "runner"),
    **dict.fromkeys(("Common", "Row"), "rows"),
    **dict.fromkeys(("Outcome", "translate_row"), "work"),
    "RayCluster": "ray_cluster",
    **dict.fromkeys(("Repetition", "again"), "repetition"),
}


if not TYPE_CHECKING:  # a type checker that saw it would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
