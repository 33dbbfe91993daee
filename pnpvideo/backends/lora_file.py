"""LoRA files (arXiv 2106.09685) for Stable Diffusion: which layers they change, read from their headers.

Two namings are known: that of kohya's trainers (lora_unet_*, lora_te_*; for XL lora_te1_*, lora_te2_*), where layers of
the network may have their names in the original code, and that of diffusers and peft (unet.*, text_encoder.*,
text_encoder_2.*).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo.backends.family import Family, spoken_family
from pnpvideo.backends.identify import Kind, identify
from pnpvideo.backends.model_files import file_metadata, tensor_shapes
from pnpvideo.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]
PARTS = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "unet.": "unet",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
}
OF_XL = ("lora_te1_", "lora_te2_", "text_encoder_2.")
_ROLES = {
    "down": ("lora_down", "lora_A", "lora.down", "lora_linear_layer.down"),
    "up": ("lora_up", "lora_B", "lora.up", "lora_linear_layer.up"),
}
_TENSOR = re.compile(
    r"(?P<layer>.+?)\.(?:(?P<role>lora_down|lora_up|lora_A|lora_B|lora\.down|lora\.up|lora_linear_layer\.down|"
    r"lora_linear_layer\.up)(?:\.default)?\.weight|(?P<alpha>alpha))"
)
_PROCESSOR = re.compile(r"(.+)\.processor\.(to_\w+?)_lora\.(down|up)\.weight")
_OTHERS = {
    "hada_": "a LoHa",
    "lokr_": "a LoKr",
    "oft_": "an OFT",
    "dora_scale": "a DoRA",
    "lora_magnitude_vector": "a DoRA",
    "lora_mid": "a LoCon with a Tucker decomposition",
    ".diff": "a full difference of weights",
}
_OTHER_FAMILIES = {
    "a diffusion transformer": (
        *("transformer.", "lora_transformer_", "diffusion_model.", "lora_unet_double_blocks_"),
        *("lora_unet_single_blocks_", "lora_unet_joint_blocks_", "lora_te3_"),
    ),
}


@dataclass(frozen=True)
class Factors:
    """Names of the tensors that change one layer by up @ down. ratio: alpha / rank, where the header states it."""

    down: str
    up: str
    alpha: str | None
    ratio: float


@dataclass(frozen=True)
class LoraFile:
    """layers: "unet" or a text encoder -> layer, with "_" for the dots of its path -> its factors.

    text_width: of the text that its network reads. two_texts: was it made for two text encoders? None: nothing says so.
    """

    path: Path
    scale: float
    layers: Mapping[str, Mapping[str, Factors]]
    text_width: int | None
    two_texts: bool | None

    @classmethod
    def of(cls, path: Path, scale: float) -> "LoraFile":
        """Read the header. Raises ModelError for everything that is no LoRA for Stable Diffusion."""
        if not path.is_file():
            raise ModelError(f"{path} is no file; accepted is a LoRA in a .safetensors file")
        identity = identify(path)
        if identity.kind == Kind.UNKNOWN:
            tensor_shapes([path])  # says what is damaged
        if identity.kind != Kind.LORA:
            raise ModelError(f"{path} is {identity}; accepted for --lora is a LoRA in a .safetensors file")
        shapes = tensor_shapes([path])
        _refuse_others(path, shapes)
        layers = _layers(path, shapes, file_metadata(path))
        two = any(name.startswith(OF_XL) for name in shapes)
        one = any(name.startswith("lora_te_") for name in shapes)
        return cls(path, scale, layers, _text_width(layers["unet"], shapes), two if two or one else None)

    @property
    def family(self) -> str:
        """The model that it was made for, as far as its shapes say."""
        if self.text_width is not None:
            return spoken_family(self.text_width)
        if self.two_texts is None:
            return "a model of another width"
        return Family.SDXL.value if self.two_texts else "a model with one text encoder"

    def check_fits(self, model: Path, text_width: int | None, text_parts: tuple[str, ...]) -> None:
        """Raise ModelError if it was made for another family. text_width, text_parts: of ``model``."""
        other = self.two_texts is not None and self.two_texts != (len(text_parts) > 1)
        if other or (self.text_width is not None and text_width is not None and self.text_width != text_width):
            own = "its own" if text_width is None else spoken_family(text_width)
            raise ModelError(
                f"{self.path} is a LoRA for {self.family}, and {model} is {own}; accepted is a LoRA for the model's "
                "own family"
            )


def _refuse_others(path: Path, names: Iterable[str]) -> None:
    for name in names:
        for mark, kind in _OTHERS.items():
            if mark in name:
                raise ModelError(
                    f"{path} is {kind} ({name}), which is not read; accepted is a plain LoRA of lora_down and lora_up"
                )
        for family, starts in _OTHER_FAMILIES.items():
            if name.startswith(starts):
                raise ModelError(
                    f"{path} is a LoRA for {family} ({name}); accepted are LoRAs for Stable Diffusion 1.x, 2.x or XL"
                )


def _layers(path: Path, shapes: Shapes, metadata: Mapping[str, str]) -> dict[str, dict[str, Factors]]:
    parts: dict[str, dict[str, dict[str, str]]] = {part: {} for part in PARTS.values()}
    for name in shapes:
        part = next((part for start, part in PARTS.items() if name.startswith(start)), None)
        found = _layer_and_role(name)
        if part is None or found is None:
            raise ModelError(
                f"{path} has a tensor {name!r}, which belongs to no LoRA that is known here; accepted are names "
                "such as lora_unet_LAYER.lora_down.weight (kohya) and unet.LAYER.lora_A.weight (diffusers)"
            )
        parts[part].setdefault(_flat(found[0]), {})[found[1]] = name
    ratios = _stated_ratios(metadata)
    layers: dict[str, dict[str, Factors]] = {}
    for part, roles_by_layer in parts.items():
        layers[part] = {}
        for layer, roles in roles_by_layer.items():
            if not {"down", "up"} <= set(roles):
                raise ModelError(f"{path} is no whole LoRA: of the layer {layer} it has {', '.join(roles)} alone")
            _check_rank(path, layer, shapes[roles["down"]], shapes[roles["up"]])
            layers[part][layer] = Factors(roles["down"], roles["up"], roles.get("alpha"), ratios.get(part, 1.0))
    return layers


def _layer_and_role(name: str) -> tuple[str, str] | None:
    if old := _PROCESSOR.fullmatch(name):  # attention processors, as diffusers first saved them
        return f"{old[1]}.{'to_out.0' if old[2] == 'to_out' else old[2]}", old[3]
    found = _TENSOR.fullmatch(name)
    if found is None:
        return None
    return found["layer"], "alpha" if found["alpha"] else next(role for role in _ROLES if found["role"] in _ROLES[role])


def _flat(layer: str) -> str:
    start = next(start for start in PARTS if layer.startswith(start))
    return layer.removeprefix(start).replace(".", "_").removeprefix("text_model_")


def _check_rank(path: Path, layer: str, down: tuple[int, ...], up: tuple[int, ...]) -> None:
    matrices = len(down) in (2, 4) and len(up) in (2, 4) and up[2:] in ((), (1, 1))
    if not matrices or down[0] != up[1] or down[0] == 0:
        raise ModelError(f"{path}: lora_down {down} and lora_up {up} of the layer {layer} do not belong together")


def _stated_ratios(metadata: Mapping[str, str]) -> dict[str, float]:
    """alpha / rank of each part, as peft notes it beside weights that hold no alpha."""
    try:
        stated: Any = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        found = {}
        for part in set(PARTS.values()):
            alpha, rank = (stated.get(f"{part}.{name}") for name in ("lora_alpha", "r"))
            if isinstance(alpha, int | float) and isinstance(rank, int) and rank > 0:
                found[part] = float(alpha) / rank
        return found
    except (ValueError, RecursionError, AttributeError):
        return {}


def _text_width(layers: Mapping[str, Factors], shapes: Shapes) -> int | None:
    return next((shapes[each.down][1] for name, each in layers.items() if name.endswith("attn2_to_k")), None)
