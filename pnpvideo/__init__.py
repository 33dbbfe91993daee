"""Translate videos, animations and stills with a prompt, by steering a pretrained diffusion model from inside.

    translate(input, prompt, output)      a clip or a still into what the prompt says
    edit(input, (from, to), output)       one thing into another, with no prompt
    plan(input)                           what a translation will take
    probe(path)                           what a file holds
    load(model)                           a model to be used many times: a Translator

Options are given as groups: ``method`` (PlugAndPlay, Pix2PixZero, SDEdit, FlowEdit), ``coherence`` (TokenFlow,
JointAttention, Independent), ``prompts``, ``sampling``, ``region``, ``reading``, ``runtime``,
``customization`` and ``control``. Names are loaded when they are first used, so that ``import pnpvideo`` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnpvideo.coherence.flow import TokenFlow
    from pnpvideo.coherence.independent import Independent
    from pnpvideo.coherence.joint import JointAttention
    from pnpvideo.engine.plan import Plan
    from pnpvideo.errors import (
        BatchError,
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
    from pnpvideo.events import Event, Notice, Progress, Report, StepPicture
    from pnpvideo.methods.flow_edit import FlowEdit
    from pnpvideo.methods.pix2pix_zero import Pix2PixZero
    from pnpvideo.methods.plug_and_play import PlugAndPlay
    from pnpvideo.methods.sdedit import SDEdit
    from pnpvideo.pipeline import Result
    from pnpvideo.settings.control import Control
    from pnpvideo.settings.options import Customization, Options, Reading, Region, Runtime, Sampling
    from pnpvideo.settings.prompts import Prompts
    from pnpvideo.store import Store
    from pnpvideo.translator import Translator, edit, load, plan, translate
    from pnpvideo.video.probe import probe
    from pnpvideo.video.span import TimeSpan

__version__ = "0.1.0"

__all__ = [
    "BatchError",
    "Control",
    "Customization",
    "DecodeError",
    "DeviceError",
    "EncodeError",
    "Event",
    "FlowEdit",
    "Independent",
    "InputError",
    "JointAttention",
    "ModelError",
    "NoMatchingSite",
    "NotFiniteError",
    "Notice",
    "OptionError",
    "Options",
    "OutputError",
    "Pix2PixZero",
    "Plan",
    "PlugAndPlay",
    "PnPVideoError",
    "Progress",
    "Prompts",
    "Reading",
    "Region",
    "Report",
    "Result",
    "Runtime",
    "SDEdit",
    "Sampling",
    "StepPicture",
    "Store",
    "StoreError",
    "TimeSpan",
    "TokenFlow",
    "Translator",
    "__version__",
    "edit",
    "load",
    "plan",
    "probe",
    "translate",
]

_MODULES = {
    "pnpvideo.coherence.flow": ("TokenFlow",),
    "pnpvideo.coherence.independent": ("Independent",),
    "pnpvideo.coherence.joint": ("JointAttention",),
    "pnpvideo.engine.plan": ("Plan",),
    "pnpvideo.events": ("Event", "Notice", "Progress", "Report", "StepPicture"),
    "pnpvideo.methods.flow_edit": ("FlowEdit",),
    "pnpvideo.methods.pix2pix_zero": ("Pix2PixZero",),
    "pnpvideo.methods.plug_and_play": ("PlugAndPlay",),
    "pnpvideo.methods.sdedit": ("SDEdit",),
    "pnpvideo.pipeline": ("Result",),
    "pnpvideo.settings.control": ("Control",),
    "pnpvideo.settings.options": ("Customization", "Options", "Reading", "Region", "Runtime", "Sampling"),
    "pnpvideo.settings.prompts": ("Prompts",),
    "pnpvideo.store": ("Store",),
    "pnpvideo.translator": ("Translator", "edit", "load", "plan", "translate"),
    "pnpvideo.video.probe": ("probe",),
    "pnpvideo.video.span": ("TimeSpan",),
}
_ELSEWHERE = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # a type checker that saw it would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ELSEWHERE.get(name, "pnpvideo.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
