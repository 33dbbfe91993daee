"""Adapter for attention over the tokens of picture and text together (arXiv 2403.03206, section 4).

Edits see the picture's tokens alone, as in self-attention. The text's tokens are keys of every picture query besides
what an edit decides; as queries they read what they would read without edits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import JointAttnProcessor2_0
from torch import Tensor, nn

from pnpvideo.injection.attention import check_plain
from pnpvideo.injection.edit import AttentionCall, LaneTensors
from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment
from pnpvideo.injection.site import Site

ALLOWED = ("norm_q", "norm_k", "add_k_proj")
"""What attention.PLAIN refuses and this adapter computes."""


def is_joint(processor: Any) -> bool:
    """Is it diffusers' processor for such layers, or for one over the picture's tokens alone beside them?"""
    return isinstance(processor, JointAttnProcessor2_0)


def check_joint(module: Any, site: Site) -> None:
    """Raise ModelError if ``module`` computes more than the published layers."""
    check_plain(module, site, ALLOWED)


@dataclass(frozen=True, eq=False)
class TextTokens:
    """The text's part in one call: hidden (rows, tokens, channels), and lane -> (frames, tokens, channels)."""

    hidden: Tensor
    q: Mapping[str, Tensor]
    k: Mapping[str, Tensor]
    v: Mapping[str, Tensor]


def joint_call(
    module: Any, site: Site, moment: Moment, lanes: Lanes, hidden: Tensor, text: Tensor | None
) -> tuple[AttentionCall, TextTokens | None]:
    """Describe one call of ``module`` for the picture's tokens and, where there are any, for the text's.

    hidden, text: (rows, tokens, channels). Queries and keys are normalised, as the layer has it.
    """

    def project(layer: nn.Module, norm: nn.Module | None, value: Tensor) -> LaneTensors:
        def of(lane: str) -> Tensor:
            projected: Tensor = layer(value[lanes.rows(lane)])
            return projected if norm is None else norm(projected.unflatten(2, (module.heads, -1))).flatten(2)

        return LaneTensors(lanes.names, of)

    call = AttentionCall(
        site=site,
        moment=moment,
        lanes=lanes,
        hidden=hidden,
        q=project(module.to_q, module.norm_q, hidden),
        k=project(module.to_k, module.norm_k, hidden),
        v=project(module.to_v, None, hidden),
        heads=module.heads,
    )
    if text is None:
        return call, None
    return call, TextTokens(
        text,
        project(module.add_q_proj, module.norm_added_q, text),
        project(module.add_k_proj, module.norm_added_k, text),
        project(module.add_v_proj, None, text),
    )


def attend_joint(module: Any, text: TextTokens | None, call: AttentionCall) -> Tensor:
    """The output for the picture's tokens, after its projection: (rows, tokens, channels)."""
    mixed = torch.cat([_pictures(module.heads, text, call, lane) for lane in call.lanes.names])
    projection, dropout = module.to_out
    projected: Tensor = dropout(projection(mixed))
    return projected


def attend_text(module: Any, text: TextTokens, plain: AttentionCall) -> Tensor:
    """The output for the text's tokens, (rows, tokens, channels). plain: the call as no edit has changed it.

    The last block drops the text's tokens; it gets them as they came.
    """
    if module.context_pre_only:
        return text.hidden
    as_queries = replace(plain, q=text.q)
    mixed = torch.cat([_pictures(module.heads, text, as_queries, lane) for lane in plain.lanes.names])
    projected: Tensor = module.to_add_out(mixed)
    return projected


def _pictures(heads: int, text: TextTokens | None, call: AttentionCall, lane: str) -> Tensor:
    """Attention of the queries of one lane, (frames, tokens, channels), before the output projection."""
    q = call.q[lane]
    keys, values = [call.k[lane]], [call.v[lane]]
    if lane in call.extra:
        keys, values = [*keys, call.extra[lane][0]], [*values, call.extra[lane][1]]
    if text is not None:
        keys, values = [*keys, text.k[lane]], [*values, text.v[lane]]
    if len({len(part) for part in (q, *keys, *values)}) == 1:
        return _sdpa(heads, q, torch.cat(keys, 1), torch.cat(values, 1))
    return torch.cat(  # frame by frame, so that shared keys are in memory once more at most
        [_sdpa(heads, q[f : f + 1], _joined(keys, f), _joined(values, f)) for f in range(len(q))]
    )


def _joined(parts: Sequence[Tensor], frame: int) -> Tensor:
    """The tokens of one frame and those that all frames share, one part after the other: (1, tokens, channels)."""
    return torch.cat([part if len(part) == 1 else part[frame : frame + 1] for part in parts], 1)


def _sdpa(heads: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (value.unflatten(2, (heads, -1)).transpose(1, 2) for value in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
