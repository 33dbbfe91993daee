"""Show results beside their source: one HTML page, or one clip.

    write_page(source, results, "page.html")           a page that plays, wipes and measures
    write_side_by_side(source, results, "side.mp4")    one clip with all of them beside each other
    ComparisonOptions                                  the options of both

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnpvideo.compare.options import ComparisonOptions
    from pnpvideo.compare.page import write_page
    from pnpvideo.compare.side import write_side_by_side

__all__ = ["ComparisonOptions", "write_page", "write_side_by_side"]

_MODULES = {"ComparisonOptions": "options", "write_page": "page", "write_side_by_side": "side"}


if not TYPE_CHECKING:  # a type checker that saw it would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
