"""Where a comparison goes: checked before the work begins, and described when it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.compare.options import ComparisonOptions
from pnpvideo.errors import OptionError
from pnpvideo.video.destination import check_file, check_place

PAGE_SUFFIXES = (".html", ".htm")
"""Extensions of pages; every other output is a clip."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A page or a clip that was written."""

    output: Path
    bytes: int
    moments: int
    """Steps of the page's time line, or frames of the clip."""


def is_page(target: Path) -> bool:
    """Whether an output of this name is a page."""
    return target.suffix.lower() in PAGE_SUFFIXES


def check_output(target: Path, inputs: Sequence[Path], options: ComparisonOptions) -> None:
    """Raise OutputError for a place where no comparison can go, OptionError for options that a clip does not have.

    inputs: what is compared, which must not be replaced.
    """
    if not is_page(target):
        if options.prompt is not None:
            raise OptionError(
                "a prompt adds a curve to a page, and a clip has none; leave it out, or write a page (.html)"
            )
        for path in inputs:
            check_place(target, path if path.exists() else None, options.overwrite)
        return
    check_file(target, options.overwrite)
