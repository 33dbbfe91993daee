"""ffmpeg as a child process: how it is found, started, listened to and always reaped."""

import functools
import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from pnpvideo.errors import PnPVideoError, printable
from pnpvideo.video.clip import MAX_PIXELS

STDERR_LIMIT = 65536  # bytes that are kept of what ffmpeg says; the last ones, where it fails


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


def input_arguments(path: Path, demuxer: str, decoder: str | None = None) -> list[str]:
    """Options that open this file as this container and nothing else: no other protocol, no other demuxer, no
    frame beyond MAX_PIXELS."""
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", demuxer, "-max_pixels", str(MAX_PIXELS)),
        *(("-c:v", decoder) if decoder else ()),
        *("-f", demuxer, "-i", file_url(path)),
    ]


class Child:
    """A running ffmpeg. A context manager: on leaving, the process is gone, whatever happened.

    ``errors()`` is what it said on stderr so far; a thread drains it, so that a talkative child never blocks.
    Input and output are unbuffered pipes where asked for.
    """

    def __init__(self, arguments: Sequence[str], *, stdin: bool = False, stdout: bool = False) -> None:
        program = executable()
        try:
            self.process = subprocess.Popen(
                [program, "-hide_banner", "-nostdin", *arguments],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C reaches us alone; we decide what becomes of the child
            )
        except OSError as error:
            raise PnPVideoError(
                f"ffmpeg cannot be started from {printable(program)}: {error.strerror}; "
                "set IMAGEIO_FFMPEG_EXE to the path of one, or unset it for the one that is shipped"
            ) from error
        self._said = bytearray()
        assert self.process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._listener.start()

    def _listen(self, stderr: IO[bytes]) -> None:
        while piece := stderr.read(4096):
            self._said += piece
            del self._said[:-STDERR_LIMIT]

    def errors(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Exit status; after it, ``errors()`` is complete. subprocess.TimeoutExpired past the limit."""
        status = self.process.wait(timeout_seconds)
        self._listener.join()
        return status

    def stop(self) -> None:
        """Kills the process if it still runs, reaps it and closes its pipes; stdout is its reader's to close."""
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def run(arguments: Sequence[str], timeout_seconds: float) -> tuple[int | None, str]:
    """Runs ffmpeg to its end: (exit status, what it said on stderr); the status is None past the limit."""
    with Child(arguments) as child:
        try:
            status: int | None = child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            status = None
    return status, child.errors()


@functools.cache
def _encoders(program: str) -> frozenset[str]:
    listing = subprocess.run(
        [program, "-hide_banner", "-nostdin", "-encoders"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )
    return frozenset(line.split()[1] for line in listing.stdout.splitlines() if len(line.split()) > 1)


def encoders() -> frozenset[str]:
    """Names of the encoders that this ffmpeg was built with."""
    return _encoders(executable())


_BOILERPLATE = re.compile(
    r"^\s*(Terminating thread|Nothing was written|Conversion failed|Task finished with error|Error opening output file"
    r"|Error sending frames to consumers|Error while filtering)"
)


def last_words(errors: str) -> str:
    """What of ffmpeg's complaints fits into one line: the last two that say why, without addresses, made printable."""
    plain = re.sub(r"\[[^\]\n]* @ 0x[0-9a-f]+\] *", "", errors)
    lines = [line.strip() for line in plain.splitlines() if line.strip() and not _BOILERPLATE.search(line)]
    return printable("; ".join(lines[-2:])) or "it gave no reason"
