"""Judges: a CLIP model that compares pictures with texts, and the keys of a vision transformer, for structure.

The miniature's judge and published models (openai/clip-vit-large-patch14, facebook/dino-vitb8) load the same way.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoImageProcessor, CLIPModel, CLIPTokenizer, ViTModel

from pnpvideo.backends.fingerprint import fingerprint, verify
from pnpvideo.backends.hub import fetch
from pnpvideo.backends.loading import load_network, load_reader
from pnpvideo.backends.model_files import check_files, read_json, weights_of
from pnpvideo.errors import ModelError
from pnpvideo.miniature import WEIGHTS

MINIATURE = str(WEIGHTS / "judge")
BATCH = 32


class Judge:
    """A CLIP model. model: "miniature", a folder or a hub id. Raises ModelError."""

    def __init__(self, model: str = "miniature", device: str = "cpu") -> None:
        folder = self.folder = folder_of(model)
        if model_type(model) != "clip":
            raise ModelError(
                f"{model} is of type {model_type(model)!r}; accepted judges are a CLIP model, and a ViT for structure"
            )
        self.name, self.device = model, device
        verify(folder, ("",))
        check_files(folder, ("tokenizer.json",), ("vocab.json", "merges.txt"))
        self.network: CLIPModel = load_network(CLIPModel, folder, torch.float32).to(device)
        self.tokenizer = load_reader(CLIPTokenizer, folder)
        self.tower = Tower(
            _Preprocessor(folder), self.network.vision_model, _last_projection(self.network.vision_model)
        )

    @property
    def fingerprint(self) -> str:
        """Of the files of its folder. Raises ModelError if one cannot be read."""
        return fingerprint(self.folder, ("",))

    @torch.no_grad()
    def embed_pictures(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """Embed pictures (h, w, 3) uint8 as unit vectors (n, d)."""
        found = [
            self.network.get_image_features(pixel_values=self.tower.preprocess(batch).to(self.device)).pooler_output
            for batch in _batches(pictures)
        ]
        return nn.functional.normalize(torch.cat(found), dim=-1).cpu()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as unit vectors (m, d)."""
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(self.device)
        found = self.network.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return nn.functional.normalize(found.pooler_output, dim=-1).cpu()

    def cosines(self, pictures: Sequence[np.ndarray], texts: Sequence[str]) -> Tensor:
        """Cosine similarities of pictures and texts, (n, m) in [-1, 1]."""
        return self.embed_pictures(pictures) @ self.embed_texts(texts).T

    def classify(self, pictures: Sequence[np.ndarray], choices: dict[str, tuple[str, ...]]) -> list[str]:
        """Classify each picture zero-shot, by the mean vector of each choice's wordings."""
        meant = torch.stack(
            [nn.functional.normalize(self.embed_texts(words).mean(0), dim=0) for words in choices.values()]
        )
        names = list(choices)
        return [names[int(best)] for best in (self.embed_pictures(pictures) @ meant.T).argmax(1)]


class Tower:
    """A vision transformer, of which the keys of the last self-attention are read."""

    def __init__(self, prepared: "_Preprocessor", network: nn.Module, projection: nn.Module) -> None:
        self.preprocess, self.network, self.projection = prepared, network, projection

    @classmethod
    def load(cls, model: str = "miniature", device: str = "cpu") -> "Tower":
        """Load the vision tower of a CLIP model, or a ViT (DINO). Raises ModelError."""
        folder = folder_of(model)
        if model_type(model) == "clip":
            return Judge(model, device).tower
        if model_type(model) != "vit":
            raise ModelError(f"{model} is of type {model_type(model)!r}; accepted are a CLIP model and a ViT")
        verify(folder, ("",))
        network = load_network(ViTModel, folder, torch.float32, unread=("pooler.",)).to(device)
        return cls(_Preprocessor(folder), network, _last_projection(network))

    def keys(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """The keys of pictures (h, w, 3) uint8: (n, tokens, width), heads concatenated, class token first."""
        return torch.cat([self.keys_of(self.preprocess.without_crop(batch)) for batch in _batches(pictures)])

    @torch.no_grad()
    def keys_of(self, pixel_values: Tensor) -> Tensor:
        """As ``keys``, of (n, 3, height, width) as the network takes it, at ``preprocess.side``."""
        found: list[Tensor] = []
        hook = self.projection.register_forward_hook(lambda module, args, output: found.append(output.float().cpu()))
        try:
            self.network(pixel_values=pixel_values.to(next(self.network.parameters()).device))
        finally:
            hook.remove()
        return found[0]


class _Preprocessor:
    """The image processor of a checkpoint."""

    def __init__(self, folder: Path) -> None:
        check_files(folder, ("preprocessor_config.json",), ("processor_config.json",))
        self.processor = load_reader(AutoImageProcessor, folder)

    def __call__(self, pictures: Sequence[np.ndarray]) -> Tensor:
        pixels: Tensor = self.processor(images=list(pictures), return_tensors="pt").pixel_values
        return pixels

    def without_crop(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """As a call, but the whole picture is resized to the square that a CLIP processor would crop."""
        height, width = self.side
        size = {"height": height, "width": width}
        inputs = self.processor(images=list(pictures), return_tensors="pt", do_center_crop=False, size=size)
        pixels: Tensor = inputs.pixel_values
        return pixels

    @property
    def side(self) -> tuple[int, int]:
        """(height, width) in pixels of what the network takes."""
        crop = getattr(self.processor, "crop_size", None) or self.processor.size
        return crop["height"], crop["width"]


def model_type(model: str) -> str:
    """The ``model_type`` of a checkpoint's config.json, such as "clip" or "vit". Raises ModelError."""
    path = folder_of(model) / "config.json"
    stated = read_json(path).get("model_type")
    if not isinstance(stated, str):
        raise ModelError(f"{path} does not say which type of model it belongs to")
    return stated


def folder_of(model: str) -> Path:
    """The local folder of a judge: "miniature", a folder or a hub id, which is fetched. Raises ModelError."""
    return fetch(MINIATURE if model == "miniature" else model, weights_of)


def _last_projection(network: nn.Module) -> nn.Module:
    """The projection to keys of the last layer: "k_proj" in CLIP's tower, "key" in ViT's."""
    named = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in ("k_proj", "key")
    ]
    if not named:
        raise ModelError(f"no projection to keys in a {type(network).__name__}; accepted are CLIP's tower and ViT")
    return named[-1]


def _batches(pictures: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    return [list(pictures[first : first + BATCH]) for first in range(0, len(pictures), BATCH)]
