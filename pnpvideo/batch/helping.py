"""Work on the windows of a row in several processes: the one that writes its result, and those that help it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pnpvideo.batch.rows import Row
from pnpvideo.errors import PnPVideoError
from pnpvideo.events import Event, Progress, Report, ignore

if TYPE_CHECKING:
    from pnpvideo.backends.backend import Backend
    from pnpvideo.engine.sharing import SharedWindows

ATTEMPTS = 3
"""How often a helper begins again after a process has ended on whose window it waited."""


def with_helpers(row: Row, backend: Backend, report: Report) -> SharedWindows:
    """What translates the windows of a row of which other processes ``help_with`` some."""
    from pnpvideo.engine.sharing import SharedWindows

    def help_others(before: float) -> None:
        def heard(event: Event) -> None:
            if isinstance(event, Progress) and event.overall is not None:
                report(replace(event, overall=min(1.0, before + event.overall)))

        help_with(row, backend, heard)

    return SharedWindows(help_others)


def help_with(row: Row, backend: Backend, report: Report = ignore, check: Callable[[], None] = lambda: None) -> None:
    """Work on windows of a row that another process translates, until all have been claimed.

    That process finds them finished, if both have the same store. report: hears of progress only, with the share of the
    clip that was done here; what is wrong, the other process meets too, and says. check: called again and again; may
    raise Stopped.
    """
    from pnpvideo.engine.sharing import Abandoned, HelpedWindows, Stopped
    from pnpvideo.engine.shot import ClipTranslator
    from pnpvideo.pipeline import drawn_shots, open_input, prepare_run
    from pnpvideo.video.masks import Masks
    from pnpvideo.video.shots import shots

    def heard(event: Event) -> None:
        check()
        if isinstance(event, Progress):
            report(event)

    options = row.options.changed({"preview_every": None})
    for _ in range(ATTEMPTS):
        try:
            if (clip := open_input(row.input, options, heard)) is None:
                return
            info, mask = clip.info, options.region.mask
            masks = None if mask is None else Masks(mask, clip, options.reading.frames, heard)
            run, conditions = prepare_run(row.input, clip, info, options, backend, heard)
            translator = ClipTranslator(run, row.prompt, info.frames_about, windows=HelpedWindows(check))
            parts = shots(clip.frames(), run.options.runtime.window)
            for _ in drawn_shots(translator, parts, (info.width, info.height), masks, conditions):
                pass
            return
        except Abandoned:
            continue
        except (PnPVideoError, Stopped):
            return
