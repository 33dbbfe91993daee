"""The ways in which a checkpoint comes: a folder in the diffusers layout, or a single file. Both answer the same."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pnpvideo.backends.family import Family
from pnpvideo.backends.identify import Kind, identify
from pnpvideo.backends.model_files import read_json
from pnpvideo.backends.single_file import SingleFile
from pnpvideo.backends.single_file3 import SingleFile3
from pnpvideo.errors import ModelError

if TYPE_CHECKING:
    import torch
    from transformers import CLIPTokenizer

SCHEDULER, INDEX = "scheduler/scheduler_config.json", "model_index.json"
JOINT = "SD3Transformer2DModel"
"""diffusers' class of the network of Stable Diffusion 3."""
ZEROS = "force_zeros_for_empty_prompt"


class Packaging(Protocol):
    """Parts are "unet" or "transformer", "vae" and the text encoders; "scheduler" has a config alone.

    All methods raise ModelError.

    text_parts: the names of its text encoders. zeros_for_empty: does an empty prompt condition it on zeros?
    """

    @property
    def path(self) -> Path: ...

    @property
    def text_parts(self) -> tuple[str, ...]: ...

    @property
    def zeros_for_empty(self) -> bool: ...

    def config(self, part: str) -> Mapping[str, Any]:
        """What states the architecture of a part."""

    def named(self, part: str) -> Path:
        """The file that states it, for messages."""

    def network(self, kind: Any, part: str, dtype: "torch.dtype") -> Any:
        """Load a part. kind: its class in diffusers or transformers."""

    def tokenizer(self, part: str) -> "CLIPTokenizer":
        """Load what turns a text into tokens. part: the text encoder that reads them."""

    def notice(self) -> str | None:
        """What a user should know of how it is read; None for nothing."""


@dataclass(frozen=True)
class CheckpointFolder:
    """prediction: instead of what the scheduler's config states."""

    path: Path
    prediction: str | None = None

    @property
    def text_parts(self) -> tuple[str, ...]:
        if is_joint(self.path):
            parts = Family.SD3.text_parts
            return parts if os.path.isfile(self.path / parts[-1] / "config.json") else parts[:-1]
        return (Family.SDXL if reads_two_texts(self.path) else Family.SD1).text_parts

    @property
    def zeros_for_empty(self) -> bool:
        if len(self.text_parts) == 1 or is_joint(self.path):
            return False
        stated = read_json(index).get(ZEROS, True) if os.path.isfile(index := self.path / INDEX) else True
        if not isinstance(stated, bool):
            raise ModelError(f"{index}: {ZEROS} is {stated!r}; accepted: true, false")
        return stated

    def config(self, part: str) -> Mapping[str, Any]:
        stated = read_json(self.named(part))
        return {**stated, "prediction_type": self.prediction} if part == "scheduler" and self.prediction else stated

    def named(self, part: str) -> Path:
        return self.path / (SCHEDULER if part == "scheduler" else f"{part}/config.json")

    def network(self, kind: Any, part: str, dtype: "torch.dtype") -> Any:
        from pnpvideo.backends.loading import load_network

        return load_network(kind, self.path / part, dtype)

    def tokenizer(self, part: str) -> "CLIPTokenizer":
        from transformers import CLIPTokenizer

        from pnpvideo.backends.loading import load_reader

        return load_reader(CLIPTokenizer, self.path / tokenizer_part(part))

    def notice(self) -> str | None:
        return None


def tokenizer_part(part: str) -> str:
    """The subfolder of the tokenizer of a text encoder."""
    return part.replace("text_encoder", "tokenizer")


def is_joint(path: Path) -> bool:
    """Is it Stable Diffusion 3? A folder's transformer or index says so, a file's tensors. Raises ModelError."""
    if os.path.isfile(path):
        return identify(path).kind is Kind.SD3
    for stated, name in ((path / "transformer/config.json", JOINT), (path / INDEX, "StableDiffusion3Pipeline")):
        if os.path.isfile(stated):
            return read_json(stated).get("_class_name") == name
    return False


def network_part(path: Path) -> str:
    """The name of the network among the parts of the checkpoint at ``path``. Raises ModelError."""
    return "transformer" if is_joint(path) else "unet"


def reads_two_texts(folder: Path) -> bool:
    """Is it of the family XL? Where its network is not there, as its index or its text encoders say. ModelError."""
    if os.path.isfile(folder / "unet" / "config.json"):
        return read_json(folder / "unet" / "config.json").get("addition_embed_type") is not None
    named = read_json(folder / INDEX) if os.path.isfile(folder / INDEX) else {}
    return "text_encoder_2" in named or os.path.isdir(folder / "text_encoder_2")


def packaging(path: Path, prediction: str | None = None) -> Packaging:
    """How the checkpoint at ``path`` comes. prediction: what its network predicts, whatever it states. ModelError."""
    if not os.path.isfile(path):
        return CheckpointFolder(path, prediction)
    if is_joint(path):
        return SingleFile3.of(path)
    found = SingleFile.of(path)
    return found if prediction is None else replace(found, prediction=prediction, certain=True)


def own_autoencoder(source: Packaging) -> Mapping[str, Any]:
    """The config of its autoencoder; {} of a single file that comes without one. Raises ModelError."""
    return {} if isinstance(source, SingleFile) and not source.shapes["vae"] else source.config("vae")
