"""Serve the page: one process, one port, a temporary folder for all that is uploaded and made."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pnpvideo.errors import OptionError, OutputError, command_to_install
from pnpvideo.kinds import Whole
from pnpvideo.scratch import scratch_folder
from pnpvideo.settings.models import ALIASES
from pnpvideo.settings.options import KNOWN_DEFAULTS
from pnpvideo.ui.limits import Limits

LOOPBACK = ("127.0.0.1", "::1", "localhost")
ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_SHARE": "False",
}
"""Read by gradio when it is imported: it talks to nobody."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the page is served, and for whom.

    port: 0 for a free one. user, password: what a browser must say; needed for any host but this machine.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    user: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        Whole(0, 65535).check("port", self.port)
        if (self.user is None) != (self.password is None):
            raise OptionError("give a user and a password together")
        if self.password is not None and (not self.password or not self.user or ":" in (self.user or "")):
            raise OptionError("user or password is empty, or the user has a colon; give others")
        if self.host not in LOOPBACK and self.password is None:
            raise OptionError(
                f"host is {self.host!r}, which other machines reach; that needs a user and a password: --user, and "
                "--password-file or PNPVIDEO_UI_PASSWORD"
            )

    def listen(self) -> socket.socket:
        """A socket at this address. Raises OutputError if there can be none, such as for a port in use."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family)
        except OSError as error:
            why = (error.strerror or str(error)).partition(" (while")[0]
            raise OutputError(f"{self.host}, port {self.port}: {why}; choose another with --host or --port") from error


def check_installed() -> None:
    """Raise OptionError without gradio."""
    if find_spec("gradio") is None:
        raise OptionError(f"gradio, which draws the page, is not installed: {command_to_install('ui')}")


def serve(
    address: Address, start: Mapping[str, Any], limits: Limits, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serve the page until the process is told to stop.

    start: options by flat name that the page begins with; those of the machine hold for everybody. ready: called with
    the page's address once it is open. Raises OptionError without gradio, OutputError for an address in use.
    """
    check_installed()
    with closing(address.listen()) as listening, scratch_folder() as folder:
        os.environ.update(ENVIRONMENT, GRADIO_TEMP_DIR=str(folder / "uploads"))
        _run(address, listening, folder, dict(start), limits, ready)


def _run(
    address: Address,
    listening: socket.socket,
    folder: Path,
    start: dict[str, Any],
    limits: Limits,
    ready: Callable[[str], None],
) -> None:
    import uvicorn  # after the environment is set: gradio reads it when it is imported

    from pnpvideo.ui.application import application
    from pnpvideo.ui.session import Sessions
    from pnpvideo.ui.work import Studio

    sessions = Sessions(folder, limits.sessions)
    app = application(sessions, Studio(start), start, models_of(start), limits, address)
    host = f"[{address.host}]" if ":" in address.host else address.host
    config = uvicorn.Config(app, log_level=logging.WARNING, timeout_graceful_shutdown=1, access_log=False)
    ready(f"http://{host}:{listening.getsockname()[1]}/")
    server = uvicorn.Server(config)
    ended = threading.Event()

    def run() -> None:
        try:
            server.run(sockets=[listening])
        finally:
            ended.set()

    # In a thread of its own, where it leaves signals alone: those end this function, and so the server. An event is
    # waited for, because a join that a signal interrupts takes the thread for ended (Python 3.11).
    threading.Thread(target=run, name="page").start()
    try:
        while not ended.wait(1):
            pass
    finally:
        sessions.close_all()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it tells of each page that is still open
        server.should_exit = True
        ended.wait()


def models_of(start: Mapping[str, Any]) -> tuple[str, ...]:
    """The checkpoints to choose from: the one to begin with, and all that have a name and are on this machine."""
    from huggingface_hub import try_to_load_from_cache

    found = [str(start.get("model", KNOWN_DEFAULTS["model"]))]
    for alias in ALIASES.values():
        if Path(alias.source).is_dir() or isinstance(try_to_load_from_cache(alias.source, "model_index.json"), str):
            found.append(alias.name)
    return tuple(dict.fromkeys(found))
