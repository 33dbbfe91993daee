"""The work behind the page: translate, try options on a few frames, compare. The same engine as everywhere else.

One piece of work runs at a time, and the model that it used stays loaded for the next one.
"""

import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.compare.options import ComparisonOptions
from pnpvideo.compare.page import write_page
from pnpvideo.errors import OptionError, printable
from pnpvideo.events import Event, Notice, Progress, Report
from pnpvideo.explore.grid import Dial, span_cells
from pnpvideo.explore.previews import preview_cells
from pnpvideo.explore.trial import Trials
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import KNOWN, Options
from pnpvideo.ui.controls import has_control
from pnpvideo.ui.session import Made, Session
from pnpvideo.video.input_file import recognise

Show = Callable[[float | None, str], None]
"""Shows a share of the work that is done, 0 to 1 or None where it is not known, and what is being done."""
MOST_CELLS = 24
PICTURE_SIDE = 512
"""Longest side in pixels of a cell's pictures on the page; the cells themselves are computed at the options' size."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody wants translated. change: (from, to), instead of a prompt. values: options by flat name."""

    prompt: str | None
    change: tuple[str, str] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def flat(self) -> dict[str, Any]:
        """All options that are set. Raises OptionError without a prompt and a change."""
        if self.change is None and not (self.prompt or "").strip():
            raise OptionError("there is no prompt; say what the result shows")
        return dict(self.values) if self.change is None else {**self.values, "change": self.change}

    @property
    def words(self) -> str | None:
        """The prompt; None for a change."""
        return self.prompt if self.change is None else None

    @property
    def title(self) -> str:
        return (self.prompt or "") if self.change is None else f"{self.change[0]} → {self.change[1]}"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A cell of a preview on the page. links: paths of its pictures' URLs."""

    number: int
    dials: Mapping[str, str]
    seconds: float
    links: tuple[str, ...]


class Studio:
    """Does the work of all sessions, one piece at a time. Threads may share it.

    server: options that whoever started the server set, and that no page changes.
    """

    def __init__(self, server: Mapping[str, Any]) -> None:
        self._server = {
            name: value for name, value in server.items() if not has_control(name, KNOWN[name]) and name != "overwrite"
        }
        self._engine = threading.Lock()
        self._loaded: tuple[tuple[object, ...], Backend] | None = None

    def translate(self, session: Session, asked: Asked, suffix: str | None, show: Show) -> Made:
        """Translate the session's source. suffix: of the output, such as ".gif"; None: that of the source."""
        source = _source(session)
        with self._engine, session.working():
            options = Options.from_flat(self._values(session, asked))
            session.count += 1
            folder = session.folder / f"result-{session.count}"
            folder.mkdir()
            output = folder / f"{source.stem}-{session.count}{suffix or source.suffix}"
            listener = _Listener(session, show)
            try:
                backend = self._backend(options, listener)
                result = translate(source, asked.words, output, options, backend=backend, report=listener)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            Path(f"{output}.json").write_text(json.dumps(_public(result.report)), "utf-8")
            seconds = float(result.report["seconds"])
            made = Made(
                number=session.count,
                path=output,
                title=asked.title,
                seconds=seconds,
                link=session.publish(output),
                notices=tuple(listener.notices),
            )
            session.add(made)
            return made

    def preview(
        self, session: Session, asked: Asked, dials: Sequence[str], pictures: int, show: Show
    ) -> tuple[list[str], list[Tried]]:
        """Try each combination of ``dials`` ("NAME=VALUE,VALUE") on a few frames: (the source's pictures, the cells).

        The cells stay in the session, for whoever picks one.
        """
        source = _source(session)
        parsed = [Dial.parse(text) for text in dials]
        cells = span_cells(asked.words, self._values(session, asked), parsed)
        if len(cells) > MOST_CELLS:
            raise OptionError(f"the grid has {len(cells)} cells; accepted are up to {MOST_CELLS}, so give fewer values")
        with self._engine, session.working():
            folder = session.folder / "cells"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            listener = _Listener(session, show)
            self._backend(cells[0].options(), listener)  # which stays loaded
            trials = Trials(source, cells[0].options(), listener, frames=pictures)
            found = preview_cells(trials, asked.words, parsed, cells)
            session.cells = {cell.number: cell for cell in cells}
            shown = [
                self._picture(session, folder / f"source-{frame.index}.png", frame.pixels)
                for frame in trials.chosen.frames
            ]
            tried = []
            for outcome in found.outcomes:
                number = outcome.cell.number
                links = (
                    self._picture(session, folder / f"{number}-{place}.png", picture)
                    for place, picture in enumerate(outcome.pictures)
                )
                tried.append(
                    Tried(number=number, dials=outcome.cell.dials, seconds=outcome.seconds, links=tuple(links))
                )
            return shown, tried

    def compare(self, session: Session, numbers: Sequence[int], show: Show) -> str:
        """Write the page that compares results with their source; returns the path of its URL."""
        source = _source(session)
        results = [made.path for made in session.results if made.number in numbers]
        if not results:
            raise OptionError("no result is ticked; tick one or more of the results of this session")
        with self._engine, session.working():
            target = session.folder / "comparison.html"
            write_page(source, results, target, ComparisonOptions(overwrite=True), report=_Listener(session, show))
            return session.publish(target)

    def _values(self, session: Session, asked: Asked) -> dict[str, Any]:
        values = {**asked.flat(), **self._server}
        return values if session.mask is None else {**values, "mask": session.mask}

    def _backend(self, options: Options, report: Report) -> Backend:
        """The model of these options. The one that was used before is let go first."""
        key = options.model_key
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            report(Progress(stage="load", done=0, total=1, unit="model"))
            self._loaded = key, load(options.model, options.runtime, report, options.customization)
        return self._loaded[1]

    @staticmethod
    def _picture(session: Session, path: Path, pixels: Any) -> str:
        picture = Image.fromarray(pixels)
        picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        picture.save(path)
        return session.publish(path)


class _Listener:
    """Shows a run's progress, collects what it says, and ends it when its session wants that."""

    def __init__(self, session: Session, show: Show) -> None:
        self._session, self._show, self._thread = session, show, threading.get_ident()
        self.notices: list[str] = []

    def __call__(self, event: Event) -> None:
        if threading.get_ident() != self._thread:  # of a download; it cannot be ended from here
            return
        self._session.check()
        if isinstance(event, Notice):
            self.notices.append(printable(event.message))
        if not isinstance(event, Progress):
            return
        share = event.overall
        if share is None and event.total and event.stage in ("download", "read"):
            share = event.done / event.total
        self._show(share, _said(event))


def _said(event: Progress) -> str:
    where = f"shot {event.shot}, {event.stage}" if event.shot else event.stage
    return f"{where}: {event.unit} {event.done} of {event.total}" if event.total > 1 else where


def _source(session: Session) -> Path:
    if session.source is None:
        raise OptionError("there is no clip or picture yet; drop one first")
    return session.source


def adopt(session: Session, uploaded: Path, role: str) -> Path:
    """Move an uploaded file into the session's folder ``role``, in place of what was there.

    Raises InputError if it is no clip and no picture, and OptionError during a run; the upload is then removed.
    """
    folder = session.folder / role
    try:
        recognise(uploaded)
        with session.resting():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            return Path(shutil.move(uploaded, folder / uploaded.name))
    finally:
        shutil.rmtree(uploaded.parent, ignore_errors=True)


def remove_mask(session: Session) -> None:
    """Let later runs change the whole picture again. Raises OptionError during a run."""
    with session.resting():
        session.mask = None
        shutil.rmtree(session.folder / "mask", ignore_errors=True)


def _public(report: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run that its comparison shows: nothing of the machine, and of paths their last part."""
    resolved = {
        name: Path(value).name if name in ("model", "mask", "captioner") and value else value
        for name, value in report["resolved"].items()
        if has_control(name, KNOWN[name]) or name in ("mask", "captioner", "change")
    }
    return {
        "prompt": report["prompt"],
        "resolved": resolved,
        "origins": {name: origin for name, origin in report["origins"].items() if name in resolved},
        "seconds": report["seconds"],
    }
