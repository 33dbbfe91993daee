"""Translate videos, animations and stills with a prompt, by steering a pretrained diffusion model from inside.

Public names are loaded when they are first asked for, so that ``import pnpvideo`` stays quick.
The one call that does everything is ``pnpvideo.translate.translate``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnpvideo.errors import (
        DecodeError,
        DeviceError,
        EncodeError,
        InputError,
        ModelError,
        NoMatchingSite,
        NotFiniteError,
        OptionError,
        OutputError,
        PnPVideoError,
        StoreError,
    )
    from pnpvideo.events import Event, Notice, Progress, Report
    from pnpvideo.options import TranslateOptions
    from pnpvideo.plan import Plan
    from pnpvideo.store import Store
    from pnpvideo.translate import Result
    from pnpvideo.video.probe import probe

__version__ = "0.1.0"

__all__ = [
    "DecodeError",
    "DeviceError",
    "EncodeError",
    "Event",
    "InputError",
    "ModelError",
    "NoMatchingSite",
    "NotFiniteError",
    "Notice",
    "OptionError",
    "OutputError",
    "Plan",
    "PnPVideoError",
    "Progress",
    "Report",
    "Result",
    "Store",
    "StoreError",
    "TranslateOptions",
    "__version__",
    "probe",
]

_EVENTS = ("Event", "Notice", "Progress", "Report")
_ELSEWHERE = {
    "Plan": "pnpvideo.plan",
    "Result": "pnpvideo.translate",
    "Store": "pnpvideo.store",
    "TranslateOptions": "pnpvideo.options",
    "probe": "pnpvideo.video.probe",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _ELSEWHERE.get(name, "pnpvideo.events" if name in _EVENTS else "pnpvideo.errors")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
