"""Checkpoints and LoRAs that were distilled to draw in few steps: known by a scheduler, by a name, or by the user."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnpvideo.backends.model_files import file_metadata
from pnpvideo.settings.options import LCM, TURBO

FEW_STEP_CARD = {"guidance": 1.0, "edit_guidance": 1.0, "inversion_rounds": 2}
"""Distilled checkpoints have their guidance inside; their long steps are inverted by corrections (as in arXiv
2403.14602)."""
SCHEDULERS: Mapping[str, Mapping[str, Any]] = {
    LCM: {"_class_name": "LCMScheduler"},
    TURBO: {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"},
}
_TITLES = ("modelspec.title", "modelspec.tags", "ss_output_name")
_MARKS = {LCM: r"lcm|dmd2?", TURBO: r"turbo|lightning|hyper|hyper-?sdx?l?"}


def few_step(scheduler: Mapping[str, Any]) -> bool:
    """Is this the scheduler of a checkpoint that was distilled to draw in few steps?

    A consistency model's (LCM, arXiv 2310.04378), or Euler's on a trailing grid, as adversarially distilled ones have
    it (turbo, arXiv 2311.17042).
    """
    kind = str(scheduler.get("_class_name"))
    euler = kind.startswith("Euler") and scheduler.get("timestep_spacing") == "trailing"
    return kind == "LCMScheduler" or (euler and not scheduler.get("rescale_betas_zero_snr"))


def as_few_step(scheduler: Mapping[str, Any], distilled: str | None) -> Mapping[str, Any]:
    """The config of the scheduler that a distillation of this kind wants (see Customization.few_step)."""
    return scheduler if distilled is None else {**scheduler, **SCHEDULERS[distilled]}


def few_step_hint(path: Path) -> str | None:
    """What to ask for if the LoRA or checkpoint in the file ``path`` is what its name or title says. ModelError.

    No tensor tells a distilled one from another, so this decides nothing.
    """
    metadata = file_metadata(path)
    titles = " ".join((path.stem, *(metadata.get(name, "")[:1000] for name in _TITLES))).lower()
    for kind, marks in _MARKS.items():
        if re.search(rf"(?<![a-z])(?:{marks})(?![a-z])", titles):
            return (
                f"{path} is named as one that draws in few steps, which no tensor says; if it is, use --few-step {kind}"
            )
    return None
