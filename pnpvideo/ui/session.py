"""Sessions: what one open page has uploaded and made, in a folder of its own that goes when the page is closed."""

import contextlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pnpvideo.errors import OptionError, PnPVideoError
from pnpvideo.explore.cells import Cell

MOST_RESULTS = 24
"""Results that a session keeps; the oldest goes first."""


class Cancelled(BaseException):
    """Whoever asked for the work wants it no more. Not an Exception, so that nothing on its way takes it for one."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished translation. number: counted from 1 in its session. link: path of its URL. notices: what was said
    about the run."""

    number: int
    path: Path
    title: str
    seconds: float
    link: str
    notices: tuple[str, ...] = ()


@dataclass
class Session:
    """One open page. owner: the secret of its browser, without which none of its files is served."""

    owner: str
    folder: Path
    source: Path | None = None
    mask: Path | None = None
    cells: Mapping[int, Cell] = field(default_factory=dict)
    results: list[Made] = field(default_factory=list)
    count: int = 0
    """Results so far, removed ones too."""
    closed: bool = False
    _files: dict[str, Path] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _work: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, path: Path) -> str:
        """The path of a URL under which ``path``, a file in the session's folder, is served from now on."""
        token = secrets.token_urlsafe(24)
        self._files[token] = path
        return f"files/{token}"

    def file(self, token: str) -> Path | None:
        """The file that was published under ``token``, if it is still there."""
        path = self._files.get(token)
        return path if path is not None and path.is_file() else None

    def add(self, made: Made) -> None:
        """Keep a result; the oldest ones make room for it."""
        self.results.append(made)
        for old in self.results[:-MOST_RESULTS]:
            shutil.rmtree(old.path.parent, ignore_errors=True)
        del self.results[:-MOST_RESULTS]

    def stop(self) -> None:
        """Let the work under way, if there is any, end at its next step."""
        self._stop.set()

    def check(self) -> None:
        """Raise Cancelled if the work is to end."""
        if self._stop.is_set() or self.closed:
            raise Cancelled

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """One piece of work of this session; when the session is closed meanwhile, its folder goes at the end."""
        with self._work:
            self._stop.clear()
            try:
                self.check()
                yield
            finally:
                if self.closed:
                    shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """No work begins in the block. Raises OptionError while there is some."""
        if not self._work.acquire(blocking=False):
            raise OptionError("a run is under way, which reads the files there are; cancel it, or wait for its end")
        try:
            yield
        finally:
            self._work.release()

    def close(self) -> None:
        """Stop the work and remove the folder: now, or as soon as the work has ended."""
        self.closed = True
        self.stop()
        if self._work.acquire(blocking=False):
            try:
                shutil.rmtree(self.folder, ignore_errors=True)
            finally:
                self._work.release()


class Sessions:
    """The open pages, by the name that gradio gives each of them, up to ``most``. Threads may share it."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(self, name: str, owner: str) -> Session:
        """Begin a session for the page ``name``. Raises OptionError for another owner's, and for one too many."""
        with self._lock:
            session = self._open.get(name)
            if session is None:
                if len(self._open) >= self._most:
                    raise OptionError(f"{self._most} pages are open already; close one of them, and reload this one")
                folder = self._folder / secrets.token_hex(16)
                folder.mkdir(mode=0o700)
                session = self._open[name] = Session(owner, folder)
        return self._owned(session, owner)

    def find(self, name: str | None, owner: str) -> Session:
        """The session of the page ``name``. Raises OptionError if there is none, or it is another owner's."""
        with self._lock:
            return self._owned(self._open.get(name or ""), owner)

    def allows(self, name: str, owner: str) -> bool:
        """Whether ``owner`` may take part in the session ``name``: it is theirs, or there is none yet."""
        with self._lock:
            session = self._open.get(name)
        return session is None or secrets.compare_digest(session.owner, owner)

    def close(self, name: str | None) -> None:
        """End the session of a page that is gone."""
        with self._lock:
            session = self._open.pop(name or "", None)
        if session is not None:
            session.close()

    def close_all(self) -> None:
        """End all sessions, as the server does at its end."""
        for name in list(self._open):
            self.close(name)

    def file(self, token: str, owner: str) -> Path | None:
        """The file that a session of ``owner`` has published under ``token``; None if there is no such file."""
        with self._lock:
            sessions = [session for session in self._open.values() if secrets.compare_digest(session.owner, owner)]
        found = (session.file(token) for session in sessions)
        return next((path for path in found if path is not None), None)

    @staticmethod
    def _owned(session: Session | None, owner: str) -> Session:
        if session is None or not owner or not secrets.compare_digest(session.owner, owner):
            raise OptionError("this page's session has ended; reload the page")
        return session


def public_message(error: PnPVideoError, session: Session) -> str:
    """The message of an error, with files by their names: the folders of this machine are nobody's business."""
    message = str(error).replace(f"{session.folder}{os.sep}", "")
    return re.sub(r"(?<![\w.:/])(?:[A-Za-z]:)?[\\/](?:[^\s/\\:'\"]+[\\/])+", "", message)
