"""Any Stable Diffusion 1.x or 2.x checkpoint, by its own config: sizes, scale, prediction type and sites."""

import hashlib
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from pnpvideo.backends.autoencoder_file import AutoencoderFile
from pnpvideo.backends.checkpoint import COVERED, FEW_STEP_CARD, few_step, locate, number, read_card
from pnpvideo.backends.compiled import compile_blocks
from pnpvideo.backends.controlnet import ControlNetwork, LoadedControlNets
from pnpvideo.backends.customized import customized_fingerprint
from pnpvideo.backends.fingerprint import verify
from pnpvideo.backends.footprint import Footprint, of_autoencoder, of_network
from pnpvideo.backends.lora import lora_fingerprint, loras_of, merge_loras
from pnpvideo.backends.packaging import Packaging, own_autoencoder, packaging
from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.backends.text import TextTower
from pnpvideo.backends.tiny_autoencoder import encoded
from pnpvideo.diffusion.finite import finite
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.errors import ModelError, PnPVideoError
from pnpvideo.injection import Conditioning, Kind, Role, Site
from pnpvideo.settings.card import Card
from pnpvideo.settings.models import resolve
from pnpvideo.settings.options import Customization

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

GUIDANCE_TOLD = 8.5
"""Guidance scale that a consistency model is told where it wants one: what its authors' pipeline tells it."""
FEATURE_LAYER = 4
"""Decoder layer whose residual features Plug-and-Play injects; self-attention from there on (arXiv 2211.12572)."""
UNCHANGED = Customization()
USUAL_SCALE = 0.18215
"""Scale of an autoencoder's latents whose config states none (arXiv 2112.10752)."""


@dataclass(frozen=True)
class Parts:
    """What a Stable Diffusion consists of. source: a folder, or what else names it in messages."""

    source: object
    scheduler_config: Mapping[str, Any]
    card: Card
    captioner: str | None
    fingerprint: str
    network: UNet2DConditionModel
    vae: AutoencoderKL | AutoencoderTiny
    text: TextTower


class StableDiffusion:
    """See Backend. The network runs in ``dtype``; latents, text and the autoencoder stay in fp32.

    model: alias, folder, single file or hub id; or a pipeline of diffusers, whose network is used as it is, in its own
    dtype and on its own device, and no longer asks for gradients. customization: what is changed in it first; a
    pipeline is used as it is.
    """

    def __init__(
        self,
        model: "str | StableDiffusionPipeline",
        device: torch.device,
        dtype: torch.dtype,
        compile: bool = False,
        customization: Customization = UNCHANGED,
    ) -> None:
        named = isinstance(model, str)
        parts = parts_of_name(model, device, dtype, customization) if named else parts_of_pipeline(model)
        self.scheduler_config, self.card, self.captioner = parts.scheduler_config, parts.card, parts.captioner
        self.few_step = few_step(self.scheduler_config)
        self.fingerprint = parts.fingerprint
        self.network, self.vae, self.text = parts.network, parts.vae, parts.text
        if device.type == "cuda":
            self.network.to(memory_format=torch.channels_last)  # as convolutions in half precision want it
        self.device, self.dtype, self._offloaded = device, dtype, False
        self.busy: AbstractContextManager[Any] = threading.RLock()
        self._controls = LoadedControlNets()
        self._check(parts.source)
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.multiple = self.factor
        self.size = int(self.network.config.sample_size) * self.factor
        self.sites = tuple(sites_of(self.network))
        told = self.network.config.time_cond_proj_dim
        self._told = None if told is None else embedded(GUIDANCE_TOLD, told).to(device, dtype)
        self._compiled = compile
        if compile:
            compile_blocks(self.network)

    def _check(self, folder: object) -> None:
        channels, width = self.vae.config.latent_channels, self.text.width
        if self.network.config.in_channels != channels:
            raise ModelError(
                f"{folder}: the network takes {self.network.config.in_channels} channels and the autoencoder makes "
                f"{channels}; only plain text-to-image checkpoints are accepted, not inpainting or depth ones"
            )
        if self.network.config.cross_attention_dim != width:
            raise ModelError(
                f"{folder}: the network reads text of width {self.network.config.cross_attention_dim}, "
                f"the text encoder writes {width}; the two do not belong together"
            )

    @property
    def prediction(self) -> str:
        return self.schedule(1).prediction.value

    def schedule(self, steps: int, spacing: str = "checkpoint") -> Schedule:
        return schedule_from_config(self.scheduler_config, steps, spacing)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return self.vae.config.latent_channels, height // self.factor, width // self.factor

    def footprint(self, width: int, height: int) -> Footprint:
        parts = (self.network, self.vae, self.text.encoder)
        weights = sum(value.nbytes for part in parts for value in part.parameters())
        shape = self.latent_shape(width, height)
        call, tokens = of_network(self.network, shape, (self.text.length, self.text.width))
        return Footprint(weights, call, tokens, of_autoencoder(self.vae, shape, self.factor))

    def controlnets(self, paths: Sequence[str]) -> tuple[ControlNetwork, ...]:
        return self._controls.of(paths, self.network, self.factor, self.device, self.dtype)

    @property
    def numerics(self) -> tuple[str, ...]:
        return self.device.type, str(self.dtype), "compiled" if self._compiled else "eager", str(torch.__version__)

    def upcast(self) -> AbstractContextManager[None] | None:
        return None if self.dtype == torch.float32 else self._in_fp32()

    @contextmanager
    def _in_fp32(self) -> Iterator[None]:
        """Run the network in fp32 for the time of the block; half-precision weights convert there and back exactly."""
        half = self.dtype
        self.network.to(torch.float32)
        self.dtype = torch.float32
        try:
            yield
        finally:
            self.network.to(half)
            self.dtype = half

    def offload(self) -> bool:
        if self._offloaded or self.device.type == "cpu":
            return False
        self._offloaded = True
        return True

    def _at_hand(self, part: nn.Module) -> None:
        """Where parts wait off the device: fetch this one, and send the others away."""
        if self._offloaded:
            controls = () if part is self.network else (each.network for each in self._controls.networks.values())
            for other in (self.network, self.vae, self.text.encoder, *controls):
                if other is not part:
                    other.to("cpu")  # from where texts are read, when they are
            part.to(self.device)

    @torch.no_grad()
    def encode(self, pixels: np.ndarray) -> Tensor:
        self._at_hand(self.vae)
        latents = []
        for picture in pixels:
            x = torch.from_numpy(picture).to(self.device).permute(2, 0, 1).unsqueeze(0).float() / 127.5 - 1
            latents.append(encoded(self.vae, x) * self.vae.config.scaling_factor)
        return finite(torch.cat(latents), "the autoencoder's latent")

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        self._at_hand(self.vae)
        pictures = []
        for latent in latents:
            x = self.vae.decode(latent.unsqueeze(0).to(self.device) / self.vae.config.scaling_factor).sample
            x = ((finite(x[0].float(), "the autoencoder's picture") + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            pictures.append(x.permute(1, 2, 0).cpu().numpy())
        return np.stack(pictures)

    def embed(self, text: str) -> Conditioning:
        return Conditioning(self.text.embeds([text])[0])

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        self._at_hand(self.network)
        asked = x.to(self.dtype), timestep, context.tokens.to(self.dtype)
        output = self.network(*asked, timestep_cond=self._told, return_dict=False)[0].float()
        return finite(output, f"the network's output at timestep {timestep}")


def parts_of_name(
    model: str, device: torch.device, dtype: torch.dtype, customization: Customization = UNCHANGED
) -> Parts:
    """Load a checkpoint: a folder in the diffusers layout, or a single file. Raises ModelError."""
    path = locate(resolve(model))
    source = packaging(path, customization.prediction)
    scheduler = source.config("scheduler")
    card = read_card(path, FEW_STEP_CARD if few_step(scheduler) else {})
    own_vae = None if customization.vae is None else AutoencoderFile.of(customization.vae)
    loras = loras_of(customization.lora)
    _check_configs(source, scheduler, own_vae)
    if path.is_dir():
        verify(path, COVERED)
    network = source.network(UNet2DConditionModel, "unet", torch.float32 if loras else dtype)
    merge_loras(loras, network, "unet")
    if loras:
        with quiet_libraries():
            network.to(dtype)
    kind, precision = AutoencoderKL, torch.float32
    vae = source.network(kind, "vae", precision) if own_vae is None else own_vae.network(kind, precision)
    text = TextTower.load(path, device)
    if any(lora.layers["text_encoder"] for lora in loras):
        merge_loras(loras, text.encoder, "text_encoder")
        text.fingerprint = hashlib.sha256(f"{text.fingerprint} {lora_fingerprint(loras)}".encode()).hexdigest()
    captioner = path / "captioner"
    return Parts(
        source=path,
        scheduler_config=scheduler,
        card=card,
        captioner=str(captioner) if captioner.is_dir() else None,
        fingerprint=customized_fingerprint(path, customization),
        network=network.to(device),
        vae=vae.to(device),
        text=text,
    )


def parts_of_pipeline(pipeline: "StableDiffusionPipeline") -> Parts:
    """The parts of a loaded pipeline; text encoder and autoencoder are copied where they are not in fp32.

    Raises ModelError for a pipeline of another architecture.
    """
    kinds = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    for name, kind in kinds.items():
        if not isinstance(found := getattr(pipeline, name, None), kind):
            raise ModelError(
                f"the pipeline's {name} is {type(found).__name__}; accepted is a StableDiffusionPipeline of Stable "
                f"Diffusion 1.x or 2.x, whose {name} is {kind.__name__}"
            )
    vae, encoder = (
        part if part.dtype == torch.float32 else deepcopy(part).float()
        for part in (pipeline.vae, pipeline.text_encoder)
    )
    network, tokenizer = pipeline.unet, pipeline.tokenizer
    digest = hashlib.sha256(repr((dict(pipeline.scheduler.config), sorted(tokenizer.get_vocab().items()))).encode())
    text_digest = hashlib.sha256(repr(sorted(tokenizer.get_vocab().items())).encode())
    for part in (network, vae, encoder):
        part.requires_grad_(False).eval()
        for name, value in part.state_dict().items():
            content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
            for each in (digest, text_digest) if part is encoder else (digest,):
                each.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
                each.update(content)
    scheduler = dict(pipeline.scheduler.config)
    return Parts(
        source=type(pipeline).__name__,
        scheduler_config=scheduler,
        card=Card(recommended=FEW_STEP_CARD if few_step(scheduler) else {}),
        captioner=None,
        fingerprint=digest.hexdigest(),
        network=network,
        vae=vae.to(network.device),
        text=TextTower(encoder.to(network.device), tokenizer, text_digest.hexdigest(), type(pipeline).__name__),
    )


def _check_configs(source: Packaging, scheduler: Mapping[str, Any], own_vae: AutoencoderFile | None) -> None:
    """Raises ModelError for values that no library checks, before anything is loaded."""
    path, network = source.named("unet"), source.config("unet")
    number(network, "sample_size", path, 1, 1024, whole=True)
    if network.get("time_cond_proj_dim") is not None:
        number(network, "time_cond_proj_dim", path, 4, 1 << 16, whole=True)
    path = source.named("vae") if own_vae is None else own_vae.path
    autoencoder = source.config("vae") if own_vae is None else own_vae.config
    number({"scaling_factor": USUAL_SCALE, **autoencoder}, "scaling_factor", path, 1e-3, 1e3)
    if own_vae is not None:
        own_vae.check_fits(own_autoencoder(source), network.get("in_channels", 4))
    try:
        schedule_from_config(scheduler, 1)
    except PnPVideoError as wrong:
        raise ModelError(f"{source.named('scheduler')}: {wrong}") from wrong


def embedded(guidance: float, channels: int) -> Tensor:
    """A guidance scale as a consistency model reads it: (1, channels), sines, then cosines (arXiv 2310.04378, 4.2)."""
    half = channels // 2
    angles = 1000 * (guidance - 1) * torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
    return F.pad(torch.cat((angles.sin(), angles.cos())), (0, channels % 2)).unsqueeze(0)


def sites_of(network: UNet2DConditionModel) -> list[Site]:
    """All self- and cross-attentions and residual branches, in execution order."""
    parts = [
        ("encoder", [(f"down_blocks.{i}", block) for i, block in enumerate(network.down_blocks)]),
        ("middle", [("mid_block", network.mid_block)]),
        ("decoder", [(f"up_blocks.{i}", block) for i, block in enumerate(network.up_blocks)]),
    ]
    sites = []
    for part, blocks in parts:
        layer = 0
        for path, block in blocks:
            attentions = getattr(block, "attentions", None) or []
            for j in range(len(block.resnets)):
                features = frozenset({Role.STRUCTURE_FEATURES} if (part, layer) == ("decoder", FEATURE_LAYER) else ())
                attention = frozenset(
                    {Role.STRUCTURE_ATTENTION} if part == "decoder" and layer >= FEATURE_LAYER else ()
                )
                sites.append(Site(f"{path}.resnets.{j}.conv2", Kind.RESIDUAL, part, layer, features))
                if j < len(attentions):
                    for k in range(len(attentions[j].transformer_blocks)):
                        inner = f"{path}.attentions.{j}.transformer_blocks.{k}"
                        sites.append(Site(f"{inner}.attn1", Kind.SELF, part, layer, attention))
                        sites.append(Site(f"{inner}.attn2", Kind.CROSS, part, layer))
                layer += 1
    return sites
