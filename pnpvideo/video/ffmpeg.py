"""ffmpeg as a child process: how it is found, started, listened to and always reaped."""

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

STDERR_LIMIT = 65536  # bytes that are kept of what ffmpeg says; the last ones, where it fails
REAP_SECONDS = 5.0  # for a killed process to be gone, and for the rest of what it said
LISTING_SECONDS = 60.0  # for ffmpeg to list its encoders or filters


def executable() -> str:
    """Path of the ffmpeg that imageio-ffmpeg ships, or that the variable IMAGEIO_FFMPEG_EXE names."""
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise PnPVideoError(
            f"ffmpeg was not found; reinstall imageio-ffmpeg or set IMAGEIO_FFMPEG_EXE: {error}"
        ) from error


def file_url(path: Path) -> str:
    """The one spelling of a path that ffmpeg takes literally: no protocol, no option, no pattern."""
    return f"file:{path.absolute()}"


def input_arguments(path: Path, demuxer: str, decoder: str | None = None, left_out: int = 0) -> list[str]:
    """Options that open this file as this container and nothing else: no other protocol, no other demuxer, no
    frame beyond MAX_PIXELS. ``left_out``: packets at the beginning of each picture track that are not decoded."""
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", demuxer, "-max_pixels", str(MAX_PIXELS)),
        *(("-c:v", decoder) if decoder else ()),
        *(("-bsf:v", f"noise=drop='lt(n,{left_out})'") if left_out else ()),
        *("-f", demuxer, "-i", file_url(path)),
    ]


class Child:
    """A running ffmpeg, as the leader of its own process group. A context manager: on leaving, the whole group is
    gone, whatever happened, so a wrapper script leaves nothing behind; no wait is longer than stated.

    A thread drains stderr, so that a talkative child never blocks. ``errors()`` is what it said so far: all lines, or
    those that ``keep`` returned a text for. stdin, stdout: whether an unbuffered pipe is opened, or the file to use.
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
                start_new_session=True,  # Ctrl-C reaches us alone; we decide what becomes of the child
            )
        except OSError as error:
            raise PnPVideoError(
                f"ffmpeg cannot be started from {printable(program)}: {error.strerror}; "
                "set IMAGEIO_FFMPEG_EXE to the path of one, or unset it for the one that is shipped"
            ) from error
        self._group_ended = False
        self._said = bytearray()
        assert self.process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self.process.stderr, keep), daemon=True)
        self._listener.start()

    def _listen(self, stderr: IO[bytes], keep: Callable[[str], str | None]) -> None:
        rest = b""
        with stderr:
            while piece := stderr.read(65536):
                *lines, rest = (rest + piece).split(b"\n")
                self._hear(lines, keep)
                rest = rest[:STDERR_LIMIT]
        self._hear([rest] if rest else [], keep)

    def _hear(self, lines: Sequence[bytes], keep: Callable[[str], str | None]) -> None:
        for line in lines:
            kept = keep(line.decode("utf-8", "replace"))
            if kept is not None:
                self._said += kept.encode() + b"\n"
        del self._said[:-STDERR_LIMIT]

    def errors(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def wait(self, timeout_seconds: float) -> int:
        """Exit status; after it, ``errors()`` is complete. subprocess.TimeoutExpired past the limit."""
        status = self.process.wait(timeout_seconds)
        self._end_group()  # what a wrapper started and left would hold our pipes open
        self._listener.join(REAP_SECONDS)
        return status

    def ended(self) -> bool:
        """Whether the process has ended; then what it started and left is ended too."""
        if self.process.poll() is None:
            return False
        self._end_group()
        return True

    def stop(self) -> None:
        """Kills the process group, reaps the process and closes its input; stdout is its reader's to close."""
        self._end_group()
        if self.process.stdin is not None:
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(REAP_SECONDS)
        self._listener.join(REAP_SECONDS)

    def _end_group(self) -> None:
        if self._group_ended:  # the system may give its number away from here on
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
    """Runs ffmpeg to its end: (exit status, what it said on stderr); the status is None past the limit."""
    with Child(arguments, stdout=stdout) as child:
        try:
            status: int | None = child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            status = None
    return status, child.errors()


@functools.cache
def _listing(program: str, what: str) -> frozenset[str]:
    with tempfile.TemporaryFile() as listing:
        status, errors = run([f"-{what}"], LISTING_SECONDS, stdout=listing)
        if status != 0:
            how = f"nothing came for {LISTING_SECONDS:g} s" if status is None else last_words(errors)
            raise PnPVideoError(
                f"{printable(program)} -{what} failed: {how}; set IMAGEIO_FFMPEG_EXE to the path of an ffmpeg, "
                "or unset it for the one that is shipped"
            )
        listing.seek(0)
        text = listing.read().decode("utf-8", "replace")
    return frozenset(line.split()[1] for line in text.splitlines() if len(line.split()) > 1)


def encoders() -> frozenset[str]:
    """Names of the encoders that this ffmpeg was built with. PnPVideoError where it does not say within a limit."""
    return _listing(executable(), "encoders")


def filters() -> frozenset[str]:
    """Names of the filters that this ffmpeg was built with. PnPVideoError where it does not say within a limit."""
    return _listing(executable(), "filters")


_BOILERPLATE = re.compile(
    r"^\s*(Terminating thread|Nothing was written|Conversion failed|Task finished with error|Error opening output file"
    r"|Error sending frames to consumers|Error while filtering)"
)


def last_words(errors: str) -> str:
    """What of ffmpeg's complaints fits into one line: the last two that say why, without addresses, made printable."""
    plain = re.sub(r"\[[^\]\n]* @ 0x[0-9a-f]+\] *", "", errors)
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not _BOILERPLATE.search(line)]
    return printable("; ".join(lines[-2:])) or "it gave no reason"
