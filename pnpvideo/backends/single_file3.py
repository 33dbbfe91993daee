"""A whole Stable Diffusion 3 or 3.5 in one .safetensors file, in the naming of its original code.

T5 is left out, because a file has no tokenizer of it: its tokens are zeros, as in a folder without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnpvideo.backends import derived_configs as derived
from pnpvideo.backends.family import Family
from pnpvideo.backends.joint_names import CLIPS, T5, clip_origins, transformer_origins
from pnpvideo.backends.ldm_names import Origins, autoencoder_origins
from pnpvideo.backends.model_files import tensor_shapes
from pnpvideo.backends.single_file import Shapes, converted_shapes, read_tensors
from pnpvideo.errors import ModelError

if TYPE_CHECKING:
    import torch
    from transformers import CLIPTokenizer

NAMES = {
    "transformer": "transformer",
    "vae": "autoencoder",
    "text_encoder": "CLIP-L text encoder",
    "text_encoder_2": "CLIP-G text encoder",
}
SCALES = (".scale_weight", ".scale_input", "scaled_fp8")
"""What follows the name of a layer whose weights are not numbers to be used as they are."""


@dataclass(frozen=True)
class SingleFile3:
    """origins, shapes: of each part's tensors by their converted names. has_t5: does the file hold T5?"""

    path: Path
    origins: Mapping[str, Origins]
    shapes: Mapping[str, Shapes]
    has_t5: bool

    @classmethod
    def of(cls, path: Path) -> "SingleFile3":
        """Read the header of ``path``. Raises ModelError for a file that is damaged or lacks a part."""
        from_file = tensor_shapes([path])
        scaled = next((name for name in from_file if name.endswith(SCALES) and not name.startswith(T5)), None)
        if scaled is not None:
            raise ModelError(f"{path} has scaled weights ({scaled}); accepted are float32, float16 and bfloat16")
        origins = {
            "transformer": transformer_origins(from_file),
            "vae": autoencoder_origins(from_file),
            **{part: clip_origins(from_file, part) for part in CLIPS},
        }
        for part, found in origins.items():
            if not found:
                raise ModelError(
                    f"{path} has no {NAMES[part]}; get a file that includes the autoencoder and both CLIP text "
                    "encoders, such as sd3_medium_incl_clips.safetensors, or name a folder of diffusers"
                )
        shapes = {part: converted_shapes(found, from_file) for part, found in origins.items()}
        return cls(path, origins, shapes, has_t5=any(name.startswith(T5) for name in from_file))

    def notice(self) -> str | None:
        if not self.has_t5:
            return None
        return f"{self.path}: T5 is left out: its tokenizer is not in the file; a folder of diffusers has it"

    @property
    def text_parts(self) -> tuple[str, ...]:
        return tuple(CLIPS)

    @property
    def zeros_for_empty(self) -> bool:
        return False

    def named(self, part: str) -> Path:
        return self.path

    def config(self, part: str) -> dict[str, Any]:
        """Of a part, or of "scheduler". Raises ModelError."""
        if part == "scheduler":
            return derived.flow_scheduler_config()
        if part not in self.shapes:
            raise ModelError(f"{self.path} is {Family.SD3.value}, which has no {part}")
        shapes = self.shapes[part]
        try:
            if part == "transformer":
                return derived.transformer_config(shapes)
            if part == "vae":
                scale = {"scaling_factor": Family.SD3.latent_scale, "shift_factor": Family.SD3.latent_shift}
                return derived.autoencoder_config(shapes) | scale
            config = derived.text_config(shapes, second=part == "text_encoder_2")
        except ModelError as wrong:
            raise ModelError(f"{self.path}: {wrong}") from wrong
        return {"projection_dim": config["hidden_size"], **config}

    def network(self, kind: Any, part: str, dtype: "torch.dtype") -> Any:
        """Load a part; see Packaging. Raises ModelError."""
        import torch

        from pnpvideo.backends.loading import build_network

        config, tensors = self.config(part), read_tensors(self.path, self.origins[part], dtype)
        if part == "text_encoder":  # its pooled text is read as it is: see clip_origins
            tensors["text_projection.weight"] = torch.eye(config["hidden_size"], dtype=dtype)
        return build_network(kind, config, tensors, self.path)

    def tokenizer(self, part: str) -> "CLIPTokenizer":
        from pnpvideo.backends.clip_tokenizer import END, clip_tokenizer

        return clip_tokenizer("!" if part == "text_encoder_2" else END)
