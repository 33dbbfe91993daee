"""A ControlNet that is named by itself (--controlnet): a folder, or one .safetensors file in either naming."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo.backends.family import Family, spoken_family
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.identify import Kind, identify
from pnpvideo.backends.ldm_names import controlnet_origins
from pnpvideo.backends.model_files import read_json, tensor_shapes, weights_of
from pnpvideo.backends.single_file import converted_shapes, read_tensors
from pnpvideo.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]
ACCEPTED = (
    "accepted for --controlnet is a ControlNet in a .safetensors file, or its folder in the layout of diffusers "
    "(config.json beside the weights)"
)
XL = "add_embedding.linear_1.weight"
"""What the networks of SDXL have and those of Stable Diffusion 1.x and 2.x have not."""
_SHARED = (
    *("in_channels", "down_block_types", "block_out_channels", "layers_per_block", "cross_attention_dim"),
    *("attention_head_dim", "num_attention_heads", "use_linear_projection", "transformer_layers_per_block"),
    *("flip_sin_to_cos", "freq_shift", "norm_num_groups", "norm_eps", "act_fn", "downsample_padding"),
    *("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim", "upcast_attention"),
)
"""What a config says of a UNet and of its ControlNet alike, which is a copy of its encoder."""
_UNKNOWN = ("class_embed_type", "num_class_embeds", "encoder_hid_dim", "encoder_hid_dim_type")


@dataclass(frozen=True)
class ControlNetFile:
    """path: a file, or the folder with config.json. shapes: of its tensors, by diffusers' names."""

    path: Path
    shapes: Shapes

    @classmethod
    def of(cls, path: Path) -> "ControlNetFile":
        """Read the headers. Raises ModelError for everything that is no ControlNet."""
        if not path.exists():
            raise ModelError(f"{path} is missing; {ACCEPTED}")
        if (path / "controlnet").is_dir():
            path /= "controlnet"
        identity = identify(path)
        if identity.kind == Kind.UNKNOWN and path.is_file():
            tensor_shapes([path])  # says what is damaged
        if identity.kind != Kind.CONTROLNET:
            raise ModelError(f"{path} is {identity}; {ACCEPTED}")
        if path.is_dir():
            stated = read_json(path / "config.json")
            found = cls(path, tensor_shapes(weights_of(path)))
            for name in _UNKNOWN:
                if stated.get(name) is not None:
                    raise ModelError(f"{path} states {name}, which plain ControlNets have not; {ACCEPTED}")
        else:
            names = tensor_shapes([path])
            found = cls(path, converted_shapes(controlnet_origins(names), names))
        found._check_whole()
        return found

    def _check_whole(self) -> None:
        for name in ("conv_in.weight", "controlnet_cond_embedding.conv_in.weight", "controlnet_mid_block.weight"):
            if len(self.shapes.get(name, ())) != 4:
                raise ModelError(f"{self.path} lacks {name} of a ControlNet, or it is damaged; {ACCEPTED}")
        if (channels := self.shapes["controlnet_cond_embedding.conv_in.weight"][1]) != 3:
            raise ModelError(
                f"{self.path} reads conditions of {channels} channels; accepted are 3, red, green and blue"
            )

    @property
    def text_width(self) -> int | None:
        """Channels of the text that it reads."""
        found = next((shape for name, shape in self.shapes.items() if name.endswith(".attn2.to_k.weight")), ())
        return found[1] if len(found) == 2 else None

    @property
    def family(self) -> str:
        """The model that it was made for, as far as its shapes say."""
        if XL in self.shapes:
            return Family.SDXL.value
        return spoken_family(self.text_width or 0)

    def check_fits(self, network: Mapping[str, Any], factor: int) -> None:
        """Raise ModelError unless it was made for a network with this config.

        factor: pixels of the pictures for each cell of the latents.
        """
        widths, layers = [*network["block_out_channels"]], network["layers_per_block"]
        each = [layers] * len(widths) if isinstance(layers, int) else [*layers]
        cells = 2 ** self._count("controlnet_cond_embedding.blocks.{}.weight", step=2)
        if (XL in self.shapes) != (network.get("addition_embed_type") is not None):
            raise ModelError(
                f"{self.path} is a ControlNet for {self.family}, and the model is of another family; accepted is a "
                "ControlNet for the model's own"
            )
        about = {
            "the width of the text": (self.text_width, network["cross_attention_dim"]),
            "the latents' channels": (self.shapes["conv_in.weight"][1], network["in_channels"]),
            "the widths of its levels": (self._widths(), widths),
            "the number of its skip connections": (
                self._count("controlnet_down_blocks.{}.weight"),
                sum(each) + len(widths),
            ),
            "pixels for each cell": (cells, factor),
        }
        for what, (own, needed) in about.items():
            if own != needed:
                raise ModelError(
                    f"{self.path} is a ControlNet for {self.family}, and does not fit the model: {what} is {own}, and "
                    f"the model's {needed}; accepted is a ControlNet for the model's own family"
                )

    def network(self, kind: Any, dtype: Any, like: Mapping[str, Any]) -> Any:
        """Load it. kind: ControlNetModel. like: the config of the network that it steers. Raises ModelError."""
        from pnpvideo.backends.loading import build_network, load_network

        if os.path.isdir(self.path):
            return load_network(kind, self.path, dtype)
        config = {name: like[name] for name in _SHARED if like.get(name) is not None}
        config["conditioning_embedding_out_channels"] = self._hint_widths()
        origins = controlnet_origins(tensor_shapes([self.path]))
        return build_network(kind, config, read_tensors(self.path, origins, dtype), self.path)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.path, ("",))

    def _widths(self) -> list[int]:
        pattern = "down_blocks.{}.resnets.0.conv1.weight"
        return [self.shapes[pattern.format(level)][0] for level in range(self._count(pattern))]

    def _hint_widths(self) -> list[int]:
        """Output channels of the layers that read the condition, one a level."""
        pattern = "controlnet_cond_embedding.blocks.{}.weight"
        levels = range(1, self._count(pattern), 2)
        first = self.shapes["controlnet_cond_embedding.conv_in.weight"][0]
        return [first, *(self.shapes[pattern.format(level)][0] for level in levels)]

    def _count(self, pattern: str, step: int = 1) -> int:
        """How many tensors there are of ``pattern``, each ``step``-th counted."""
        count = 0
        while pattern.format(step * count) in self.shapes:
            count += 1
        return count
