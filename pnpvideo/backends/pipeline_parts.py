"""What loaded pipelines of diffusers of all families have in common: checks, precision and fingerprints."""

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from pnpvideo.errors import ModelError


def check_kinds(pipeline: Any, kinds: Mapping[str, Any], accepted: str) -> None:
    """Raise ModelError unless each part is of its class. kinds: name of a part -> its class."""
    for name, kind in kinds.items():
        if not isinstance(found := getattr(pipeline, name, None), kind):
            raise ModelError(
                f"the pipeline's {name} is {type(found).__name__}; accepted is {accepted}, whose {name} is "
                f"{kind.__name__}"
            )


def in_fp32(part: Any) -> Any:
    """The part itself if it is in fp32, else a copy that is."""
    return part if part.dtype == torch.float32 else deepcopy(part).float()


def frozen_fingerprints(
    settings: Sequence[object], vocabularies: object, others: Sequence[nn.Module], encoders: Sequence[nn.Module]
) -> tuple[str, str]:
    """Fingerprints of the whole, and of what reads its texts: the encoders and the vocabularies alone.

    A part counts by its weights, its config and the scales of its LoRA adapters (PEFT's, which are active but not
    merged). settings: what else the whole depends on. Freezes the parts on the way.
    """
    digest, text_digest = hashlib.sha256(repr(tuple(settings)).encode()), hashlib.sha256(repr(vocabularies).encode())
    for part in (*others, *encoders):
        part.requires_grad_(False).eval()
        digests = (digest, text_digest) if any(part is encoder for encoder in encoders) else (digest,)
        for each in digests:
            each.update(repr((_config(part), _adapters(part))).encode())
        for name, value in part.state_dict().items():
            content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
            for each in digests:
                each.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
                each.update(content)
    return digest.hexdigest(), text_digest.hexdigest()


def _config(part: Any) -> list[tuple[str, str]]:
    """What a part's config says, without notes on where it comes from."""
    config = getattr(part, "config", {})
    items = dict(config.to_dict() if hasattr(config, "to_dict") else config).items()
    return sorted((name, repr(value)) for name, value in items if name != "transformers_version" and name[0] != "_")


def _adapters(part: nn.Module) -> list[tuple[str, str, str, bool]]:
    """Layers with LoRA adapters: name, scale of each adapter, the active ones, and whether they are switched off."""
    return [
        (
            name,
            repr(sorted(module.scaling.items())),
            repr(getattr(module, "active_adapters", None)),
            bool(getattr(module, "disable_adapters", False)),
        )
        for name, module in part.named_modules()
        if isinstance(getattr(module, "scaling", None), dict)
    ]
