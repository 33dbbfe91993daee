"""Ctrl-C, SIGTERM and SIGHUP: the first signal lets the work save its state and stop, a second ends the process."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 4.0
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(BaseException):
    """The process received SIGTERM or SIGHUP (``number``). Like KeyboardInterrupt, not an Exception."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def interruptible(grace_seconds: float = GRACE_SECONDS) -> Iterator[list[int]]:
    """In the block, SIGINT raises KeyboardInterrupt and SIGTERM and SIGHUP raise Terminated, in the main thread.

    Yields a list to which each signal's number is appended, because a library that is being imported may replace the
    exception with one of its own. A long call into native code delays the exception, so a thread ends the process
    ``grace_seconds`` after the first signal, or at the second, with the exit code 128 + the first signal's number.
    Checkpoints are written every few seconds, so little work is lost.
    """
    arrived: list[int] = []

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        arrived.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    previous = {number: signal.signal(number, stop) for number in heeded}
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(ours, grace_seconds), name="interrupt", daemon=True)
    watch.start()
    try:
        yield arrived
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        theirs.close()
        watch.join()
        ours.close()


def _watch(signals: socket.socket, grace_seconds: float) -> None:
    """Read signal numbers, which the interpreter writes to the socket's other end, until that end is closed."""
    while received := signals.recv(1):
        if received[0] in SIGNALS:
            signals.settimeout(grace_seconds)
            try:
                while (again := signals.recv(1)) and again[0] not in SIGNALS:
                    continue
            except TimeoutError:
                again = received
            if again:
                _end(128 + received[0])


def _end(status: int) -> NoReturn:
    show_cursor = b"\x1b[?25h" if os.isatty(2) else b""
    with contextlib.suppress(OSError):
        os.write(2, show_cursor + b"\npnpvideo: stopped at once\n")
    os._exit(status)
