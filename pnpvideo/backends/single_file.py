"""A whole Stable Diffusion 1.x, 2.x or XL in one .safetensors file, in the naming of its original code.

What it is, is read from the names and shapes of its tensors, never from the file's name. Tensors of other prefixes
(the noise schedule, the state of a training) are left out. Of a file with two sets of weights, those that it would go
on training with are used; the averaged ones (model_ema.) where they are alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from pnpvideo.backends import derived_configs as derived
from pnpvideo.backends.family import Family
from pnpvideo.backends.ldm_names import (
    OPEN_CLIP,
    XL_CLIP,
    XL_OPEN_CLIP,
    Origins,
    autoencoder_origins,
    network_origins,
    text_origins,
)
from pnpvideo.backends.model_files import file_metadata, first_line, tensor_shapes
from pnpvideo.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import CLIPTokenizer

Shapes = Mapping[str, tuple[int, ...]]
NAMES = {
    "unet": "UNet",
    "vae": "autoencoder",
    "text_encoder": "text encoder",
    "text_encoder_2": "second text encoder",
}
STATED_PREDICTIONS = {"epsilon": derived.EPSILON, "v": derived.VELOCITY, "v_prediction": derived.VELOCITY}
"""What a file may state as modelspec.prediction_type (Stability AI's ModelSpec), and diffusers' name for it."""

STEPS_OF_2_0_BASE = 875_000
"""What the published 2.0 base, which predicts noise, states as its global_step; diffusers knows it by that too."""


@dataclass(frozen=True)
class SingleFile:
    """origins, shapes: of each part's tensors by their converted names; a part that is missing has none.

    prediction: what its network predicts. certain: does the file say so?
    """

    path: Path
    origins: Mapping[str, Origins]
    shapes: Mapping[str, Shapes]
    family: Family
    prediction: str
    certain: bool
    zero_terminal_snr: bool

    @classmethod
    def of(cls, path: Path) -> "SingleFile":
        """Read the header of ``path``. Raises ModelError for a file that is damaged or holds another kind of model."""
        from_file, metadata = tensor_shapes([path]), file_metadata(path)
        family = _family(from_file)
        origins = {
            "unet": network_origins(from_file),
            "vae": autoencoder_origins(from_file),
            **{part: text_origins(from_file, part) for part in family.text_parts},
        }
        second = family is Family.SD2
        stated = STATED_PREDICTIONS.get(str(metadata.get("modelspec.prediction_type")).lower())
        if stated is None and "v_pred" in from_file:  # a marker of trainers that leave the metadata empty
            stated = derived.VELOCITY
        if stated is None and second and _trained_steps(path, from_file) == STEPS_OF_2_0_BASE:
            stated = derived.EPSILON
        return cls(
            path=path,
            origins=origins,
            shapes={part: converted_shapes(found, from_file) for part, found in origins.items()},
            family=family,
            prediction=stated or (derived.VELOCITY if second else derived.EPSILON),
            certain=stated is not None or not second,
            zero_terminal_snr="ztsnr" in from_file,
        )

    def notice(self) -> str | None:
        """What was decided without the file's word; None where nothing was."""
        if self.certain:
            return None
        return (
            f"{self.path} is a Stable Diffusion 2.x that does not say what its network predicts; it is taken for one "
            "of 768 pixels that predicts v. If the results are noise, use --prediction epsilon (512 pixels)"
        )

    @property
    def text_parts(self) -> tuple[str, ...]:
        return self.family.text_parts

    @property
    def zeros_for_empty(self) -> bool:
        return self.family is Family.SDXL

    def named(self, part: str) -> Path:
        return self.path

    def config(self, part: str) -> dict[str, Any]:
        """Of a part, or of "scheduler". Raises ModelError."""
        if part == "scheduler":
            return derived.scheduler_config(self.family, self.prediction, self.zero_terminal_snr)
        shapes = self.shapes[part]
        if not shapes:
            hint = "; name one with --vae" if part == "vae" else ""
            raise ModelError(f"{self.path} has no {NAMES[part]}, so it is a part of a checkpoint{hint}")
        try:
            if part == "unet":
                return derived.network_config(shapes, self.family, self.prediction)
            if part == "vae":
                return {**derived.autoencoder_config(shapes), "scaling_factor": self.family.latent_scale}
            return derived.text_config(shapes, self._is_open_clip(part))
        except ModelError as wrong:
            raise ModelError(f"{self.path}: {wrong}") from wrong

    def network(self, kind: Any, part: str, dtype: "torch.dtype") -> Any:
        """Load a part; see Packaging. Raises ModelError."""
        from pnpvideo.backends.loading import build_network

        config = self.config(part)
        return build_network(kind, config, read_tensors(self.path, self.origins[part], dtype), self.path)

    def tokenizer(self, part: str) -> "CLIPTokenizer":
        from pnpvideo.backends.clip_tokenizer import END, clip_tokenizer

        return clip_tokenizer("!" if self._is_open_clip(part) else END)

    def _is_open_clip(self, part: str) -> bool:
        return self.family is Family.SD2 or part == "text_encoder_2"


def _family(from_file: Shapes) -> Family:
    if any(".label_emb." in name or name.startswith((XL_CLIP, XL_OPEN_CLIP)) for name in from_file):
        return Family.SDXL
    return Family.SD2 if any(name.startswith(OPEN_CLIP) for name in from_file) else Family.SD1


def _trained_steps(path: Path, from_file: Shapes) -> int | None:
    if from_file.get("global_step") not in ((), (1,)):
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            return int(file.get_tensor("global_step").reshape(-1)[0])
    except (SafetensorError, OSError, ValueError, TypeError) as damaged:
        raise ModelError(f"{path} cannot be loaded as safetensors: {first_line(damaged)}") from damaged


def converted_shapes(origins: Origins, from_file: Shapes) -> Shapes:
    """Shapes by converted names. from_file: by the file's names."""
    found = {}
    for name, origin in origins.items():
        shape = from_file[origin.name]
        if origin.third is not None and shape:
            shape = (shape[0] // 3, *shape[1:])
        if origin.transposed:
            shape = shape[::-1]
        found[name] = shape[:2] if origin.flat and shape[2:] == (1, 1) else shape
    return found


def read_tensors(path: Path, origins: Origins, dtype: "torch.dtype") -> dict[str, "Tensor"]:
    """The tensors of ``path`` by their converted names, in ``dtype``, each in memory of its own. Raises ModelError."""
    import torch

    found: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name, origin in origins.items():
                tensor = file.get_tensor(origin.name)
                if not tensor.is_floating_point():
                    raise ModelError(
                        f"{path}: {origin.name} is {tensor.dtype}; accepted are float32, float16 and bfloat16"
                    )
                if tensor.ndim == 0 and (origin.third is not None or origin.halves_swapped):
                    raise ModelError(f"{path}: {origin.name} is a single number, where a layer's tensor belongs")
                if origin.third is not None:
                    tensor = tensor.tensor_split(3)[origin.third]
                if origin.flat and tensor.shape[2:] == (1, 1):
                    tensor = tensor[:, :, 0, 0]
                if origin.transposed:
                    tensor = tensor.T
                if origin.halves_swapped:
                    tensor = torch.cat(tensor.tensor_split(2)[::-1])
                found[name] = tensor.to(dtype, copy=True).contiguous()
    except (SafetensorError, OSError, ValueError) as damaged:
        raise ModelError(f"{path} cannot be loaded as safetensors: {first_line(damaged)}") from damaged
    return found
