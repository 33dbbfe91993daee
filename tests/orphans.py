"""Processes that outlive whoever started them, for tools that run code which may leave some (Linux)."""

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER


def adopt() -> None:
    """From now on, what a descendant of this process leaves behind becomes its child."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_children(environment: str = "") -> list[str]:
    """End and reap the children of this process, those with ``environment`` (NAME=value) in theirs; the names of those
    that still ran. One that ends may leave children of its own, which come to this process: they are ended too."""
    names = []
    while found := [child for child in _children() if environment.encode() in _environment(child[0])]:
        for number, name, running in found:
            if running:
                names.append(name)
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(number, signal.SIGKILL)
                os.waitpid(number, 0)
    return sorted(names)


def _children() -> list[tuple[int, str, bool]]:
    """Number, name, and whether it still runs."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = stat.read_text("utf-8", "replace").rsplit(")", 1)
            state, parent = rest.split()[:2]
            if int(parent) == os.getpid():
                found.append((int(stat.parent.name), name.partition("(")[2], state != "Z"))
    return found


def _environment(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/environ").read_bytes()
    except OSError:
        return b""
