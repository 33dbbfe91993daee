"""Many translations, and one again: run the rows of a jobs file, and make a result anew from its sidecar.

    again("out.mp4.json")       make a result again, and compare it with the first

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnpvideo.batch.repetition import Repetition, again

__all__ = ["Repetition", "again"]

_MODULES = {"Repetition": "repetition", "again": "repetition"}


if not TYPE_CHECKING:  # a type checker that saw it would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
