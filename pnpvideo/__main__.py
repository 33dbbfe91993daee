"""The command ``pnpvideo``, also ``python -m pnpvideo``: signals are handled from its first line on.

Before anything is imported, a signal just ends the process: there is nothing yet to be kept or removed. The handlers of
``cli.interrupt`` take over as soon as they are loaded.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> int:
    """Run the command line and return its exit status."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it for SIGHUP
            signal.signal(number, _end)
    from pnpvideo.cli.main import main as run

    status: int = run()
    for number in SIGNALS:  # all is done; while Python shuts down, a signal would change the status
        signal.signal(number, signal.SIG_IGN)
    return status


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"pnpvideo: stopped\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
