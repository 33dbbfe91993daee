"""What cannot be asked of a network that attends to picture and text together, as Stable Diffusion 3's does."""

import os
from pathlib import Path

from pnpvideo.backends.hub import local_folder
from pnpvideo.backends.packaging import is_joint
from pnpvideo.errors import ModelError, NoMatchingSite
from pnpvideo.methods.registry import METHODS, name_of
from pnpvideo.settings.options import Customization, Options


def check_joint_options(model: str, options: Options) -> None:
    """Raise ModelError if ``model`` is such a model and on this machine, and ``options`` ask for more than it can."""
    path = Path(model) if os.path.isfile(model) else local_folder(model)
    if path is None or not is_joint(path):
        return
    check_customization(path, options.customization)
    for control in options.control.stated():
        raise refused_controlnet(control.model)
    check_without_cross_attention(str(path), options)


def check_without_cross_attention(model: str, options: Options) -> None:
    """Raise NoMatchingSite if ``options`` need cross-attention, which ``model`` does not have."""
    method, wanted = options.method, None
    if method.needs_cross_attention:
        rest = [name for name, kind in METHODS.items() if not kind.needs_cross_attention]
        wanted = f"the method {name_of(method)} steers; use --method {', '.join(rest[:-1])} or {rest[-1]}"
    elif options.region.keep_background:
        wanted = "keep_background looks for the word in; use --mask FILE"
    if wanted is not None:
        raise NoMatchingSite(f"{model} has no cross-attention, which {wanted}")


def check_customization(model: Path, customization: Customization) -> None:
    """Raise ModelError for what changes a checkpoint of another family only."""
    asked = {
        "LoRAs": customization.lora,
        "textual inversions": customization.embedding,
        "other autoencoders": customization.vae,
        "other predictions": customization.prediction,
        "few-step distillations": customization.few_step,
    }
    for name, value in asked.items():
        if value:
            raise ModelError(f"{model} is Stable Diffusion 3; {name} go with 1.x, 2.x and XL alone: leave them out")


def refused_controlnet(path: str) -> ModelError:
    return ModelError(f"{path}: ControlNets go with Stable Diffusion 1.x and 2.x, not with Stable Diffusion 3")
