"""Run ffmpeg as a child process: find it, start it, read what it says, and always stop it."""

import contextlib
import functools
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from pnpvideo.errors import PnPVideoError, printable
from pnpvideo.video.clip import MAX_PIXELS

STDERR_LIMIT = 65536
"""Bytes of ffmpeg's log that are stored: the last ones, because the reason of a failure stands at the end."""
REAP_SECONDS = 5.0
"""Time limit for a killed process to end, and for the rest of its log to arrive."""
LISTING_SECONDS = 60.0
"""Time limit for ffmpeg to list its encoders or filters."""


def executable() -> str:
    """Path of the ffmpeg that imageio-ffmpeg ships, or that the variable IMAGEIO_FFMPEG_EXE names."""
    try:
        path: str = imageio_ffmpeg.get_ffmpeg_exe()
        return path
    except RuntimeError as error:
        raise PnPVideoError(
            f"ffmpeg was not found; reinstall imageio-ffmpeg or set IMAGEIO_FFMPEG_EXE: {error}"
        ) from error


def file_url(path: Path) -> str:
    """The one spelling of a path that ffmpeg takes literally: no protocol, no option, no pattern."""
    return f"file:{path.absolute()}"


def input_arguments(path: Path, demuxer: str, decoder: str | None = None, skipped_packets: int = 0) -> list[str]:
    """ffmpeg options that open this file as this container and nothing else.

    They allow no other protocol, no other demuxer, and no frame beyond MAX_PIXELS.
    skipped_packets: packets at the beginning of each video track that are not decoded.
    """
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", demuxer, "-max_pixels", str(MAX_PIXELS)),
        *(("-c:v", decoder) if decoder else ()),
        *(("-bsf:v", f"noise=drop='lt(n,{skipped_packets})'") if skipped_packets else ()),
        *("-f", demuxer, "-i", file_url(path)),
    ]


class Child:
    """A running ffmpeg, the leader of its own process group. Use it as a context manager.

    When the context is left, for whatever reason, the whole group has ended: a wrapper script in ffmpeg's place leaves
    nothing behind. A thread reads standard error, so that a long log never blocks ffmpeg. Every wait has a limit.

    stdin, stdout: whether to open an unbuffered pipe, or the file to use.
    keep: called with each line of the log, in that thread; returns the text to store for ``errors``, or None.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        stdin: bool = False,
        stdout: bool | IO[bytes] = False,
        keep: Callable[[str], str | None] = lambda line: line,
    ) -> None:
        program = executable()
        pipes = {True: subprocess.PIPE, False: subprocess.DEVNULL}
        try:
            self.process = subprocess.Popen(
                [program, "-hide_banner", "-nostdin", *arguments],
                stdin=pipes[stdin],
                stdout=pipes[stdout] if isinstance(stdout, bool) else stdout,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then decides about the child
            )
        except OSError as error:
            raise PnPVideoError(
                f"ffmpeg cannot be started from {printable(program)}: {error.strerror}; "
                "set IMAGEIO_FFMPEG_EXE to the path of one, or unset it for the one that is shipped"
            ) from error
        self._group_ended = False
        self._log = bytearray()
        assert self.process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self.process.stderr, keep), daemon=True)
        self._listener.start()

    def _listen(self, stderr: IO[bytes], keep: Callable[[str], str | None]) -> None:
        rest = b""
        with stderr:
            while piece := stderr.read(65536):
                *lines, rest = (rest + piece).split(b"\n")
                self._store(lines, keep)
                rest = rest[:STDERR_LIMIT]
        self._store([rest] if rest else [], keep)

    def _store(self, lines: Sequence[bytes], keep: Callable[[str], str | None]) -> None:
        for line in lines:
            text = keep(line.decode("utf-8", "replace"))
            if text is not None:
                self._log += text.encode() + b"\n"
        del self._log[:-STDERR_LIMIT]

    def errors(self) -> str:
        """The log so far, as far as ``keep`` stored it; complete after ``wait``."""
        return self._log.decode("utf-8", "replace").strip()

    def wait(self, timeout_seconds: float) -> int:
        """Wait for the end; returns the exit status. Raises subprocess.TimeoutExpired past the limit."""
        status = self.process.wait(timeout_seconds)
        self._end_group()  # what a wrapper script started and left would hold our pipes open
        self._listener.join(REAP_SECONDS)
        return status

    def has_ended(self) -> bool:
        """Whether the process has ended; if so, the rest of its group is ended too."""
        if self.process.poll() is None:
            return False
        self._end_group()
        return True

    def stop(self) -> None:
        """Kill the process group, reap the process and close its input. Its output is for its reader to close."""
        self._end_group()
        if self.process.stdin is not None:
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(REAP_SECONDS)
        self._listener.join(REAP_SECONDS)

    def _end_group(self) -> None:
        if self._group_ended:  # the system may give its number to another process from here on
            return
        self._group_ended = True
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.poll() is None:
            self.process.kill()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def run(arguments: Sequence[str], timeout_seconds: float, stdout: bool | IO[bytes] = False) -> tuple[int | None, str]:
    """Run ffmpeg to its end: (exit status, log). The status is None if it was stopped at the time limit."""
    with Child(arguments, stdout=stdout) as child:
        try:
            status: int | None = child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            status = None
    return status, child.errors()


def encoders() -> frozenset[str]:
    """Names of the encoders that this ffmpeg was built with. Raises PnPVideoError if ffmpeg does not list them."""
    return _listing(executable(), "encoders")


def decodable_codecs() -> frozenset[str]:
    """Names of the codecs that this ffmpeg can decode. Raises PnPVideoError if ffmpeg does not list them."""
    return _listing(executable(), "codecs", "D")


def filters() -> frozenset[str]:
    """Names of the filters that this ffmpeg was built with. Raises PnPVideoError if ffmpeg does not list them."""
    return _listing(executable(), "filters")


@functools.cache
def _listing(program: str, what: str, mark: str = "") -> frozenset[str]:
    """The names that ffmpeg lists, of lines that begin with ``mark``."""
    with tempfile.TemporaryFile() as listing:
        status, errors = run([f"-{what}"], LISTING_SECONDS, stdout=listing)
        if status != 0:
            why = f"nothing came for {LISTING_SECONDS:g} s" if status is None else summarise_errors(errors)
            raise PnPVideoError(
                f"{printable(program)} -{what} failed: {why}; set IMAGEIO_FFMPEG_EXE to the path of an ffmpeg, "
                "or unset it for the one that is shipped"
            )
        listing.seek(0)
        text = listing.read().decode("utf-8", "replace")
    rows = (line.split() for line in text.splitlines())
    return frozenset(row[1] for row in rows if len(row) > 1 and row[0].startswith(mark))


_BOILERPLATE = re.compile(
    r"^\s*(Terminating thread|Nothing was written|Conversion failed|Task finished with error|Error opening output file"
    r"|Error sending frames to consumers|Error while filtering)"
)


def summarise_errors(errors: str) -> str:
    """One printable line of ffmpeg's log for a message: the last two lines that state a cause, without addresses."""
    plain = re.sub(r"\[[^\]\n]* @ 0x[0-9a-f]+\] *", "", errors)
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not _BOILERPLATE.search(line)]
    return printable("; ".join(lines[-2:])) or "it gave no reason"
