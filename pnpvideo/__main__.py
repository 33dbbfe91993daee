"""The command ``pnpvideo``, also ``python -m pnpvideo``: signals are handled from its first line on.

Before anything is imported, a signal just ends the process: there is nothing yet to be kept or removed. The handlers of
``cli.interrupt`` take over as soon as they are loaded.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

WAITING = {"GOMP_SPINCOUNT": "3000"}
"""Turns that a thread of OpenMP spins before it sleeps; libgomp's 300,000 starve a busy machine (docs/speed.md)."""
WAITING_OF_THE_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> int:
    """Run the command line and return its exit status."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it for SIGHUP
            signal.signal(number, _end)
    _share_processors()
    from pnpvideo.cli.main import main as run

    status: int = run()
    for number in SIGNALS:  # all is done; while Python shuts down, a signal would change the status
        signal.signal(number, signal.SIG_IGN)
    return status


def _share_processors() -> None:
    """Let the threads of torch sleep where they wait, unless the user chose how. OpenMP reads this when torch loads."""
    if not any(name in os.environ for name in WAITING_OF_THE_USER):
        os.environ.update(WAITING)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"pnpvideo: stopped\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
