"""What a file or folder is that somebody names as a model, said by its tensors."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pnpvideo.backends.joint_names import is_joint_network
from pnpvideo.backends.ldm_names import averages
from pnpvideo.backends.model_files import PICKLES, listed, tensor_shapes, weights_of
from pnpvideo.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]


class Kind(Enum):
    """What it is, in words that follow "is"."""

    SD = "Stable Diffusion 1.x or 2.x"
    SDXL = "Stable Diffusion XL"
    SD3 = "Stable Diffusion 3"
    REFINER = "the refiner of Stable Diffusion XL, which cannot draw by itself"
    INPAINTING = "an inpainting checkpoint of Stable Diffusion"
    EXTRA_INPUT = "a Stable Diffusion checkpoint that takes a second picture (depth, upscaling or instructions)"
    TRANSFORMER = "a diffusion transformer (such as FLUX or PixArt)"
    LORA = "a LoRA, which changes a checkpoint and is none itself"
    CONTROLNET = "a ControlNet, which steers a checkpoint and is none itself"
    ADAPTER = "an adapter (IP-Adapter, T2I-Adapter or motion module), which adds to a checkpoint and is none itself"
    EMBEDDING = "a textual-inversion embedding, which adds a word to a checkpoint and is none itself"
    UNET = "the denoising network of a checkpoint alone"
    VAE = "the autoencoder of a checkpoint alone"
    TINY_VAE = "a tiny autoencoder (TAESD)"
    TEXT_ENCODER = "a text encoder alone"
    CLIP = "a CLIP model"
    PICKLE = "pickled weights, which are never opened"
    UNKNOWN = "no model that is known here"


@dataclass(frozen=True)
class Identity:
    """single_file: is it one file, and not a folder of the diffusers layout?"""

    kind: Kind
    single_file: bool

    def __str__(self) -> str:
        whole = self.kind in _WHOLE and self.kind is not Kind.REFINER
        return f"{self.kind.value}{' in a single file' if whole and self.single_file else ''}"


ACCEPTED = (
    "accepted is a folder in the diffusers layout of Stable Diffusion 1.x, 2.x, XL or 3 (unet or transformer, vae, "
    "text_encoder, tokenizer, scheduler), or one of these in a single .safetensors file"
)

CONVERSION = (
    'python -c "import torch, safetensors.torch as s; '
    "w = torch.load('IN.ckpt', weights_only=True, map_location='cpu'); w = w.get('state_dict', w); "
    "s.save_file({k: v.clone().contiguous() for k, v in w.items() if hasattr(v, 'contiguous')}, 'OUT.safetensors')\""
)
"""With weights_only, torch reads tensors from a pickle and runs nothing else."""


def advice(identity: Identity) -> str:
    """What to do instead of naming a model of that kind."""
    if identity.kind in (Kind.LORA, Kind.CONTROLNET, Kind.ADAPTER, Kind.EMBEDDING):
        flags = {Kind.LORA: "--lora", Kind.CONTROLNET: "--controlnet", Kind.EMBEDDING: "--embedding"}
        also = f"; this one goes with {flags[identity.kind]}" if identity.kind in flags else ""
        return f"name the checkpoint that it was made for{also}"
    if identity.single_file and identity.kind in READ:
        return "name the file itself"
    if identity.kind == Kind.PICKLE:
        return f"get it as .safetensors, or, where you trust its source, convert it: {CONVERSION}"
    if identity.kind in (Kind.VAE, Kind.TINY_VAE):
        return "name the whole checkpoint; this one goes with --vae"
    if identity.kind in (Kind.UNET, Kind.TEXT_ENCODER):
        return "name the folder of the whole checkpoint"
    return "see pnpvideo models for names that work"


def identify(path: Path) -> Identity:
    """What ``path`` is. Of safetensors only headers are read, of others two bytes. Raises ModelError."""
    if os.path.isfile(path):
        return Identity(_of_file(path), single_file=True)
    return _of_folder(path)


def _of_file(path: Path) -> Kind:
    try:
        with open(path, "rb") as file:
            start = file.read(2)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if start in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"):
        return Kind.PICKLE
    try:
        shapes = tensor_shapes([path])
    except ModelError:
        return Kind.UNKNOWN
    shapes |= {name: shapes[averaged] for name, averaged in averages(shapes).items()}
    kind = of_tensors(shapes)
    return Kind.UNET if kind == Kind.SDXL and _FIRST not in shapes else kind


def _of_folder(folder: Path) -> Identity:
    names = listed(folder)
    for part in ("unet", "transformer"):
        if part in names and os.path.isdir(folder / part):
            kind = _of_parts(folder / part)
            return Identity(Kind.SD if kind == Kind.UNET else kind, single_file=False)
    files = [folder / name for name in names if name.endswith(".safetensors") and os.path.isfile(folder / name)]
    kinds = {_of_file(path) for path in files}
    known = [kind for kind in Kind if kind in kinds]  # in order: a whole checkpoint before parts and additions
    if known:
        return Identity(known[0], single_file=len(files) == 1 and known[0] in _WHOLE)
    pickled = any(name.endswith(PICKLES) for name in names)
    return Identity(Kind.PICKLE if pickled else Kind.UNKNOWN, single_file=False)


READ = (Kind.SD, Kind.SDXL, Kind.SD3)
_WHOLE = (*READ, Kind.REFINER, Kind.INPAINTING, Kind.EXTRA_INPUT)
_FIRST = "model.diffusion_model.input_blocks.0.0.weight"


def _of_parts(folder: Path) -> Kind:
    try:
        return of_tensors(tensor_shapes(weights_of(folder)))
    except ModelError:
        pickled = os.path.isdir(folder) and any(name.endswith(PICKLES) for name in listed(folder))
        return Kind.PICKLE if pickled else Kind.UNKNOWN


def of_tensors(shapes: Shapes) -> Kind:
    """The kind of model with tensors of these names and shapes."""
    for kind, is_it in _TELLS:
        if is_it(shapes):
            return _unet(shapes) if kind in (Kind.SD, Kind.UNET) else kind
    return Kind.UNKNOWN


def _unet(shapes: Shapes) -> Kind:
    single = _FIRST in shapes
    first = shapes.get(_FIRST if single else "conv_in.weight", ())
    last = shapes.get("model.diffusion_model.out.2.weight" if single else "conv_out.weight", ())
    taken, given = (first[1] if len(first) == 4 else 4), (last[0] if len(last) == 4 else 4)
    if taken == 2 * given + 1:  # the latent, another beside it and a mask
        return Kind.INPAINTING
    if taken != given:
        return Kind.EXTRA_INPUT
    if any(".label_emb." in name or name.startswith(("add_embedding.", "conditioner.embedders.")) for name in shapes):
        return Kind.REFINER if any(name.startswith(_FOURTH_LEVEL) for name in shapes) else Kind.SDXL
    return Kind.SD if single else Kind.UNET


_FOURTH_LEVEL = ("model.diffusion_model.input_blocks.9.", "down_blocks.3.", "conditioner.embedders.0.model.")
"""What the refiner has and the base lacks: a level more, and OpenCLIP as its only text encoder."""


def _any(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _all(*names: str) -> Callable[[Shapes], bool]:
    return lambda shapes: all(any(name.startswith(start) for name in shapes) for start in names)


_TELLS: tuple[tuple[Kind, Callable[[Shapes], Any]], ...] = (
    (Kind.LORA, _any("lora_A.", "lora_B.", "lora_up.", "lora_down.", "lora.up.", "lora.down.", ".hada_w1", ".lokr_w")),
    (Kind.CONTROLNET, _any("controlnet_", "control_model.", "input_hint_block.")),
    (Kind.ADAPTER, _any("ip_adapter.", "image_proj.", "motion_modules.", "adapter.body.")),
    (Kind.SD, _all("model.diffusion_model.input_blocks.")),
    (Kind.SD3, is_joint_network),
    (Kind.TRANSFORMER, _any("double_blocks.", "single_transformer_blocks.", "adaln_single.")),
    (Kind.UNET, _all("down_blocks.", "up_blocks.", "time_embedding.")),
    (
        Kind.TRANSFORMER,
        lambda shapes: _any("transformer_blocks.", "blocks.0.attn")(shapes) and "conv_in.weight" not in shapes,
    ),
    (Kind.TINY_VAE, _all("encoder.layers.0.weight", "decoder.layers.0.weight")),
    (Kind.VAE, _all("encoder.", "decoder.", "decoder.conv_out")),
    (Kind.VAE, _all("first_stage_model.")),
    (Kind.CLIP, _all("text_model.", "vision_model.")),
    (Kind.TEXT_ENCODER, _any("token_embedding.weight", "shared.weight")),
    (
        Kind.EMBEDDING,
        lambda shapes: len(shapes) <= 3 and all(len(shape) in (1, 2) for shape in shapes.values()) and bool(shapes),
    ),
)
