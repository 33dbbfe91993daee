"""The parts of a checkpoint of Stable Diffusion 3, loaded and checked: by name, or of a pipeline of diffusers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel

from pnpvideo.backends.checkpoint import COVERED, number, read_card
from pnpvideo.backends.family import Family
from pnpvideo.backends.fingerprint import fingerprint, verify
from pnpvideo.backends.packaging import packaging
from pnpvideo.backends.pipeline_parts import check_kinds, frozen_fingerprints, in_fp32
from pnpvideo.backends.text3 import CLASSES, ThreeTextTowers, load_three_texts, three_text_towers
from pnpvideo.diffusion.scheduler_config import check_schedule
from pnpvideo.errors import ModelError
from pnpvideo.settings.card import Card

if TYPE_CHECKING:
    from diffusers import StableDiffusion3Pipeline


@dataclass(frozen=True)
class Parts3:
    """See latent_model.LoadedParts. source: a folder, a file, or what else names it in messages."""

    source: object
    scheduler_config: Mapping[str, Any]
    card: Card
    captioner: str | None
    fingerprint: str
    network: SD3Transformer2DModel
    vae: AutoencoderKL
    text: ThreeTextTowers
    few_step: bool = False

    def __post_init__(self) -> None:
        """Raises ModelError for parts that do not belong together."""
        config = self.network.config
        if config.in_channels != self.vae.config.latent_channels or self.text.pooled_width != (
            config.pooled_projection_dim
        ):
            raise ModelError(
                f"{self.source}: the network takes {config.in_channels} channels and a text of "
                f"{config.pooled_projection_dim} as a whole; the autoencoder makes {self.vae.config.latent_channels} "
                f"and the text encoders {self.text.pooled_width}: they do not belong together"
            )


def parts3_of_name(path: Path, device: torch.device, dtype: torch.dtype) -> Parts3:
    """Load a folder or single file. Raises ModelError."""
    source = packaging(path)
    network, vae = source.config("transformer"), source.config("vae")
    named = source.named("transformer")
    number(network, "sample_size", named, 1, 1024, whole=True)
    number({"pos_embed_max_size": 96, **network}, "pos_embed_max_size", named, 1, 1024, whole=True)
    width = number({"joint_attention_dim": 4096, **network}, "joint_attention_dim", named, 1, 1 << 16, whole=True)
    number({"scaling_factor": Family.SD3.latent_scale, **vae}, "scaling_factor", source.named("vae"), 1e-3, 1e3)
    shift = {"shift_factor": vae.get("shift_factor") or 0}
    number(shift, "shift_factor", source.named("vae"), -1e3, 1e3)
    check_schedule(source.config("scheduler"), source.named("scheduler"))
    verify(path, COVERED)
    captioner = path / "captioner"
    return Parts3(
        source=path,
        scheduler_config=source.config("scheduler"),
        card=read_card(path, {}),
        captioner=str(captioner) if captioner.is_dir() else None,
        fingerprint=fingerprint(path, COVERED),
        network=source.network(SD3Transformer2DModel, "transformer", dtype).to(device),
        vae=source.network(AutoencoderKL, "vae", torch.float32).to(device),
        text=load_three_texts(path, int(width), device, dtype),
    )


def parts3_of_pipeline(pipeline: "StableDiffusion3Pipeline") -> Parts3:
    """The parts of a loaded pipeline; CLIP and the autoencoder are copied where they are not in fp32.

    T5 stays in its precision, and may be None. Raises ModelError for a pipeline of another architecture.
    """
    kinds = {"transformer": SD3Transformer2DModel, "vae": AutoencoderKL, **CLASSES}
    if getattr(pipeline, "text_encoder_3", None) is None:
        kinds.pop("text_encoder_3")
    check_kinds(pipeline, kinds, "a StableDiffusion3Pipeline")
    network, vae = pipeline.transformer, in_fp32(pipeline.vae)
    first, second, *t5 = (getattr(pipeline, part) for part in kinds if part in CLASSES)
    clips, tokenizers = [in_fp32(first), in_fp32(second)], [pipeline.tokenizer, pipeline.tokenizer_2]
    readers = [*tokenizers, pipeline.tokenizer_3] if t5 else tokenizers
    scheduler, vocabularies = dict(pipeline.scheduler.config), [sorted(each.get_vocab().items()) for each in readers]
    check_schedule(scheduler, type(pipeline).__name__)
    whole, text = frozen_fingerprints((scheduler, vocabularies), vocabularies, (network, vae), (*clips, *t5))
    source, device = type(pipeline).__name__, network.device
    return Parts3(
        source=source,
        scheduler_config=scheduler,
        card=Card(),
        captioner=None,
        fingerprint=whole,
        network=network,
        vae=vae.to(device),
        text=three_text_towers(
            [clip.to(device) for clip in clips],
            tokenizers,
            (t5[0].to(device), pipeline.tokenizer_3) if t5 else None,
            int(network.config.joint_attention_dim),
            text,
            source,
        ),
    )
