"""Read a child process's standard output in pieces of one size, without ever waiting for longer than a limit."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator

from pnpvideo.video import ffmpeg


def read_pieces(
    child: ffmpeg.Child, size: int, patience_seconds: float, is_damaged: Callable[[], bool]
) -> Generator[bytes, None, None]:
    """Yield what the child writes in pieces of ``size`` bytes, until it ends or ``is_damaged`` says so.

    Raises TimeoutError if nothing comes for ``patience_seconds``, and EOFError if the output ends within a piece.
    Two pieces at most are read ahead.
    """
    pipe = child.process.stdout
    assert pipe is not None
    pieces: queue.Queue[bytes] = queue.Queue(maxsize=2)
    closed = threading.Event()

    def pump() -> None:
        with pipe:
            while not closed.is_set():
                piece = bytearray()
                while len(piece) < size and (part := pipe.read(size - len(piece))):
                    piece += part
                pieces.put(bytes(piece))
                if len(piece) < size:
                    return

    threading.Thread(target=pump, daemon=True).start()
    try:
        while True:
            piece = _next(pieces, child, patience_seconds, is_damaged)
            if piece is None or not piece:
                return
            if len(piece) < size:
                raise EOFError
            yield piece
    finally:
        closed.set()
        while not pieces.empty():
            pieces.get_nowait()


def _next(
    pieces: "queue.Queue[bytes]", child: ffmpeg.Child, patience_seconds: float, is_damaged: Callable[[], bool]
) -> bytes | None:
    """The next piece, None after the last one. Raises TimeoutError if nothing comes."""
    until = time.monotonic() + patience_seconds
    while True:
        try:
            return pieces.get(timeout=min(0.1, max(0.0, until - time.monotonic())))
        except queue.Empty:
            if is_damaged():
                return None
            if child.has_ended():  # the rest of the pipe comes at once, unless another process holds the pipe open
                with contextlib.suppress(queue.Empty):
                    return pieces.get(timeout=ffmpeg.REAP_SECONDS)
                return None
            if time.monotonic() >= until:
                raise TimeoutError from None
