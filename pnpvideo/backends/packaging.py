"""The ways in which a checkpoint comes: a folder in the diffusers layout, or a single file. Both answer the same."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pnpvideo.backends.model_files import read_json
from pnpvideo.backends.single_file import SingleFile

if TYPE_CHECKING:
    import torch
    from transformers import CLIPTokenizer

SCHEDULER = "scheduler/scheduler_config.json"


class Packaging(Protocol):
    """Parts are "unet", "vae" and "text_encoder"; "scheduler" has a config alone. All methods raise ModelError."""

    @property
    def path(self) -> Path: ...

    def config(self, part: str) -> Mapping[str, Any]:
        """What states the architecture of a part."""

    def named(self, part: str) -> Path:
        """The file that states it, for messages."""

    def network(self, kind: Any, part: str, dtype: "torch.dtype") -> Any:
        """Load a part. kind: its class in diffusers or transformers."""

    def tokenizer(self) -> "CLIPTokenizer":
        """Load what turns a text into tokens."""


@dataclass(frozen=True)
class CheckpointFolder:
    """prediction: instead of what the scheduler's config states."""

    path: Path
    prediction: str | None = None

    def config(self, part: str) -> Mapping[str, Any]:
        stated = read_json(self.named(part))
        return {**stated, "prediction_type": self.prediction} if part == "scheduler" and self.prediction else stated

    def named(self, part: str) -> Path:
        return self.path / (SCHEDULER if part == "scheduler" else f"{part}/config.json")

    def network(self, kind: Any, part: str, dtype: "torch.dtype") -> Any:
        from pnpvideo.backends.loading import load_network

        return load_network(kind, self.path / part, dtype)

    def tokenizer(self) -> "CLIPTokenizer":
        from transformers import CLIPTokenizer

        from pnpvideo.backends.loading import load_reader

        return load_reader(CLIPTokenizer, self.path / "tokenizer")


def packaging(path: Path, prediction: str | None = None) -> Packaging:
    """How the checkpoint at ``path`` comes. prediction: what its network predicts, whatever it states. ModelError."""
    if not os.path.isfile(path):
        return CheckpointFolder(path, prediction)
    found = SingleFile.of(path)
    return found if prediction is None else replace(found, prediction=prediction, certain=True)


def own_autoencoder(source: Packaging) -> Mapping[str, Any]:
    """The config of its autoencoder; {} of a single file that comes without one. Raises ModelError."""
    return {} if isinstance(source, SingleFile) and not source.shapes["vae"] else source.config("vae")
