"""Connect to a Ray cluster, or start one on this machine, without Ray's dashboard and reports of use."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pnpvideo.errors import DeviceError, OptionError, command_to_install, printable

LOCAL = "local"
STORE_BYTES = 100_000_000
"""Of Ray's object store on this machine; rows and events are a few kilobytes."""


def check_address(address: str | None) -> None:
    """Raise OptionError without Ray, or for an address of Ray's client, which cannot wait as the driver does."""
    if find_spec("ray") is None:
        raise OptionError(
            f"ray, which spreads the rows, is not installed: {command_to_install('ray')}, on every machine"
        )
    if address is not None and "://" in address:
        shown = printable(address)
        raise OptionError(f"address is {shown}; accepted: HOST:PORT of the head, auto (a cluster here), local")


@contextlib.contextmanager
def session(address: str | None) -> Iterator[ModuleType]:
    """Yield the module ray, connected to the cluster at ``address``, and disconnect at the end of the block.

    address: HOST:PORT of the head, "auto" (the cluster that this machine belongs to) or "local" (start one for this
    call, closed to whoever has not its secret token). None: as RAY_ADDRESS says, else "local". A program that is
    connected already stays so. Raises OptionError without Ray, DeviceError if there is no cluster.
    """
    where = address or os.environ.get("RAY_ADDRESS") or LOCAL
    check_address(where)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default, of which Ray warns
    if where == LOCAL and "RAY_AUTH_MODE" not in os.environ:  # Ray listens to the network
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    import ray

    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES} if where == LOCAL else {}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=where, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError, AssertionError) as error:
        said = printable(str(error).strip().partition("\n")[0])
        raise DeviceError(
            f"no Ray cluster at {printable(where)}: {said}; start one with 'ray start --head', and name HOST:PORT"
        ) from error
    try:
        with contextlib.suppress(ValueError):  # outside the main thread Ray leaves the handler alone
            signal.signal(signal.SIGTERM, handler)
        yield ray
    finally:
        ray.shutdown()
