"""Adapter for diffusers' ``Attention`` module: splits a call into lanes and computes attention lane by lane."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnpvideo.errors import ModelError
from pnpvideo.injection.edit import AttentionCall, LaneTensors
from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment
from pnpvideo.injection.site import Site

PLAIN = {
    "group_norm": None,
    "spatial_norm": None,
    "norm_cross": None,
    "norm_q": None,
    "norm_k": None,
    "add_k_proj": None,
    "residual_connection": False,
    "rescale_output_factor": 1.0,
}
"""Attributes of an ``Attention`` module, and the only value of each that this adapter supports."""


def check_attention(module: Any, site: Site) -> None:
    """Raise ModelError if ``module`` computes more than q, k, v, attention and the output projection."""
    check_plain(module, site)


def check_plain(module: Any, site: Site, allowed: Collection[str] = ()) -> None:
    """Raise ModelError if an attribute of ``module``, besides those ``allowed``, is not as PLAIN has it."""
    for name, plain in PLAIN.items():
        if name not in allowed and (value := getattr(module, name, plain)) != plain:
            shown = type(value).__name__ if isinstance(value, nn.Module) else repr(value)
            raise ModelError(
                f"the attention layer {site.name} has {name} = {shown}, which edits of attention do not compute; "
                "accepted are layers as in Stable Diffusion 1.x, 2.x, XL and 3"
            )


def check_arguments(site: Site, hidden: Tensor, arguments: Mapping[str, Any]) -> None:
    """Raise ModelError if a call passes arguments that an edited attention would ignore, or not 3 dimensions.

    hidden: the layer's input. arguments: those beyond the hidden states; any that is not None is refused.
    """
    given = sorted(name for name, value in arguments.items() if value is not None)
    if given:
        raise ModelError(
            f"the attention layer {site.name} was called with {', '.join(given)}, which edits of attention do not "
            "support; run without, or without edits"
        )
    if hidden.ndim != 3:
        raise ModelError(
            f"the attention layer {site.name} was called with an input of {hidden.ndim} dimensions; "
            "accepted is (rows, tokens, channels)"
        )


def attention_call(
    module: Any, site: Site, moment: Moment, lanes: Lanes, hidden: Tensor, context: Tensor
) -> AttentionCall:
    """Describe one call of ``module``; each lane's projections are computed when first read.

    hidden: (rows, tokens, channels). context: input of the key and value projections, (rows, tokens, channels):
    ``hidden`` in self-attention, the text in cross-attention.
    """

    def project(layer: nn.Module, value: Tensor) -> LaneTensors:
        return LaneTensors(lanes.names, lambda lane: layer(value[lanes.rows(lane)]))

    return AttentionCall(
        site=site,
        moment=moment,
        lanes=lanes,
        hidden=hidden,
        q=project(module.to_q, hidden),
        k=project(module.to_k, context),
        v=project(module.to_v, context),
        heads=module.heads,
    )


def attend(module: Any, call: AttentionCall) -> Tensor:
    """Compute scaled dot-product attention, lane by lane, and the output projection: (rows, tokens, channels)."""
    mixed = torch.cat([_lane_attention(module, call, lane) for lane in call.lanes.names])
    projection, dropout = module.to_out
    projected: Tensor = dropout(projection(mixed))
    return projected


def _lane_attention(module: Any, call: AttentionCall, lane: str) -> Tensor:
    """Attention of one lane, (frames, tokens, channels), before the output projection."""
    q, k, v = call.q[lane], call.k[lane], call.v[lane]
    if lane in call.extra:  # frame by frame, so that the extra keys are never repeated in memory
        more_k, more_v = call.extra[lane]
        return torch.cat(
            [
                _sdpa(module, q[f : f + 1], torch.cat((k[f : f + 1], more_k), 1), torch.cat((v[f : f + 1], more_v), 1))
                for f in range(q.shape[0])
            ]
        )
    if k.shape[0] == 1 and q.shape[0] > 1:  # all frames share these keys: join their queries into one sequence
        return _sdpa(module, q.reshape(1, -1, q.shape[2]), k, v).reshape(q.shape)
    return _sdpa(module, q, k, v)


def _sdpa(module: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (value.unflatten(2, (module.heads, -1)).transpose(1, 2) for value in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, scale=module.scale).transpose(1, 2).flatten(2)
