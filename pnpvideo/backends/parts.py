"""The parts of a checkpoint, loaded and checked: by name, or of a pipeline of diffusers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel

from pnpvideo.backends.autoencoder_file import AutoencoderFile
from pnpvideo.backends.checkpoint import COVERED, locate, number, read_card
from pnpvideo.backends.customized import customized_fingerprint
from pnpvideo.backends.embedding_file import embeddings_of
from pnpvideo.backends.family import Family
from pnpvideo.backends.few_step import FEW_STEP_CARD, as_few_step, few_step
from pnpvideo.backends.fingerprint import verify
from pnpvideo.backends.lora import lora_fingerprint, loras_of, merge_loras
from pnpvideo.backends.packaging import ZEROS, Packaging, own_autoencoder, packaging, tokenizer_part
from pnpvideo.backends.pipeline_parts import check_kinds, frozen_fingerprints, in_fp32
from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.backends.text import CLASSES, Towers, load_text, towers
from pnpvideo.diffusion.scheduler_config import check_schedule
from pnpvideo.errors import ModelError
from pnpvideo.settings.card import Card
from pnpvideo.settings.models import resolve
from pnpvideo.settings.options import Customization

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

UNCHANGED = Customization()


@dataclass(frozen=True)
class Parts:
    """What a Stable Diffusion consists of. source: a folder, or what else names it in messages.

    few_step: was it distilled to draw in few steps? zeros_for_empty: does an empty prompt condition the network on
    zeros?
    """

    source: object
    scheduler_config: Mapping[str, Any]
    few_step: bool
    card: Card
    captioner: str | None
    fingerprint: str
    network: UNet2DConditionModel
    vae: AutoencoderKL | AutoencoderTiny
    text: Towers
    zeros_for_empty: bool


def parts_of_name(
    model: str, device: torch.device, dtype: torch.dtype, customization: Customization = UNCHANGED
) -> Parts:
    """Load a checkpoint: a folder in the diffusers layout, or a single file. Raises ModelError."""
    path = locate(resolve(model))
    source = packaging(path, customization.prediction)
    scheduler = as_few_step(source.config("scheduler"), customization.few_step)
    few = customization.few_step is not None or few_step(scheduler)
    card = read_card(path, FEW_STEP_CARD if few else {})
    own_vae = None if customization.vae is None else _fitting(source, AutoencoderFile.of(customization.vae))
    loras = loras_of(customization.lora)
    for lora in loras:
        lora.check_fits(path, source.config("unet").get("cross_attention_dim"), source.text_parts)
    _check_configs(source, scheduler, own_vae)
    verify(path, COVERED)
    network = source.network(UNet2DConditionModel, "unet", torch.float32 if loras else dtype)
    merge_loras(loras, network, "unet")
    if loras:
        with quiet_libraries():
            network.to(dtype)
    kind, precision = AutoencoderKL, torch.float32
    vae = source.network(kind, "vae", precision) if own_vae is None else own_vae.network(kind, precision)
    embeddings = embeddings_of(customization.embedding)
    text = load_text(path, device, embeddings)
    for part, encoder in text.encoders.items():
        merge_loras(loras, encoder, part)
    if any(lora.layers[part] for lora in loras for part in text.encoders):
        text.fingerprint = hashlib.sha256(f"{text.fingerprint} {lora_fingerprint(loras)}".encode()).hexdigest()
    captioner = path / "captioner"
    return Parts(
        source=path,
        scheduler_config=scheduler,
        few_step=few,
        card=card.with_words(each.word for each in embeddings),
        captioner=str(captioner) if captioner.is_dir() else None,
        fingerprint=customized_fingerprint(path, customization),
        network=network.to(device),
        vae=vae.to(device),
        text=text,
        zeros_for_empty=source.zeros_for_empty,
    )


def parts_of_pipeline(pipeline: "StableDiffusionPipeline | StableDiffusionXLPipeline") -> Parts:
    """The parts of a loaded pipeline; text encoders and autoencoder are copied where they are not in fp32.

    Raises ModelError for a pipeline of another architecture.
    """
    text_parts = (Family.SDXL if hasattr(pipeline, "text_encoder_2") else Family.SD1).text_parts
    check_kinds(
        pipeline,
        {"unet": UNet2DConditionModel, "vae": AutoencoderKL, **{part: CLASSES[part] for part in text_parts}},
        "a StableDiffusionPipeline of Stable Diffusion 1.x or 2.x, or a StableDiffusionXLPipeline",
    )
    vae, *encoders = (in_fp32(getattr(pipeline, name)) for name in ("vae", *text_parts))
    network, tokenizers = pipeline.unet, [getattr(pipeline, tokenizer_part(part)) for part in text_parts]
    scheduler, vocabularies = dict(pipeline.scheduler.config), [sorted(each.get_vocab().items()) for each in tokenizers]
    zeros = len(encoders) > 1 and bool(pipeline.config.get(ZEROS, True))
    whole, text = frozen_fingerprints((scheduler, vocabularies, zeros), vocabularies, (network, vae), encoders)
    source = type(pipeline).__name__
    return Parts(
        source=source,
        scheduler_config=scheduler,
        few_step=few_step(scheduler),
        card=Card(recommended=FEW_STEP_CARD if few_step(scheduler) else {}),
        captioner=None,
        fingerprint=whole,
        network=network,
        vae=vae.to(network.device),
        text=towers([each.to(network.device) for each in encoders], tokenizers, text, source),
        zeros_for_empty=zeros,
    )


def _fitting(source: Packaging, vae: AutoencoderFile) -> AutoencoderFile:
    """``vae`` as the model's autoencoder. Raises ModelError where it cannot be that."""
    family = Family.SDXL if source.text_parts == Family.SDXL.text_parts else Family.SD1
    return vae.fitting(own_autoencoder(source), source.config("unet").get("in_channels", 4), family.latent_scale)


def _check_configs(source: Packaging, scheduler: Mapping[str, Any], own_vae: AutoencoderFile | None) -> None:
    """Raises ModelError for values that no library checks, before anything is loaded."""
    path, network = source.named("unet"), source.config("unet")
    number(network, "sample_size", path, 1, 1024, whole=True)
    if network.get("time_cond_proj_dim") is not None:
        number(network, "time_cond_proj_dim", path, 4, 1 << 16, whole=True)
    path = source.named("vae") if own_vae is None else own_vae.path
    autoencoder = source.config("vae") if own_vae is None else own_vae.config
    number({"scaling_factor": Family.SD1.latent_scale, **autoencoder}, "scaling_factor", path, 1e-3, 1e3)
    if autoencoder.get("latents_mean") is not None:
        raise ModelError(f"{path}: latents_mean is stated; accepted are autoencoders whose latents are scaled alone")
    check_schedule(scheduler, source.named("scheduler"))
