"""See, choose, commit: a few frames over a grid of options, and a search for the options that suit a clip.

    preview(input, prompt, grid={"guidance": [2, 4]})     translate a few frames by several sets of options
    pick("sheet.png#7")                                   read the options of one cell of a preview
    tune(input, prompt)                                   find the options by measuring

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnpvideo.explore.picks import Pick, pick
    from pnpvideo.explore.previews import Preview, preview
    from pnpvideo.explore.tuning import Search, Tuning, tune

__all__ = ["Pick", "Preview", "Search", "Tuning", "pick", "preview", "tune"]

_MODULES = {
    **dict.fromkeys(("Pick", "pick"), "picks"),
    **dict.fromkeys(("Preview", "preview"), "previews"),
    **dict.fromkeys(("Search", "Tuning", "tune"), "tuning"),
}


if not TYPE_CHECKING:  # a type checker that saw it would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
