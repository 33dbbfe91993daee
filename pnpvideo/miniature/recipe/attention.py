"""Attention for training in bfloat16 on a CPU.

PyTorch's fused attention is slow there in the backward pass: on a processor with avx512_bf16, one thread, forward and
backward of 16 samples with two heads take 25 ms against 10 for 256 positions of 48 channels, 18 against 6 for 1024
positions that read 32 words, and 177 against 151 for 1024 positions of 24 channels. Here the attention map is kept, so
that both passes are plain products of matrices.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn import functional as F

CHUNK = 2**20
"""Elements of the attention maps that are computed at once: 2 MB, which a processor's cache holds."""


class TrainingAttention:
    """A diffusers attention processor: ``attention_with_kept_map`` for bfloat16 on a CPU, else the fused attention."""

    def __call__(
        self,
        attention: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states

        def heads(x: Tensor) -> Tensor:
            split: Tensor = x.unflatten(-1, (attention.heads, -1))
            return split.transpose(1, 2)

        query, key, value = attention.to_q(hidden_states), attention.to_k(context), attention.to_v(context)
        kept = query.dtype == torch.bfloat16 and query.device.type == "cpu"
        attend = attention_with_kept_map if kept else F.scaled_dot_product_attention
        joined: Tensor = attend(heads(query), heads(key), heads(value)).transpose(1, 2).flatten(2)
        result: Tensor = attention.to_out[1](attention.to_out[0](joined))
        return result


def attention_with_kept_map(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, differentiable once. query: (b, heads, n, d); key, value: (b, heads, m, d)."""
    apply: Callable[..., Tensor] = _AttentionWithKeptMap.apply
    return apply(query, key, value)


class _AttentionWithKeptMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = ((query * query.shape[-1] ** -0.5).flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1))
        weights, output = q.new_empty(*q.shape[:2], k.shape[1]), torch.empty_like(q)
        for part in _parts(weights):
            torch.softmax(torch.bmm(q[part], k[part].transpose(1, 2)), -1, out=weights[part])
            torch.bmm(weights[part], v[part], out=output[part])
        ctx.save_for_backward(q, k, v, weights, output)
        return output.view(query.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, weights, output = ctx.saved_tensors
        (gradient,) = gradients
        g = gradient.flatten(0, 1)
        mean = (g * output).sum(-1, keepdim=True)  # of the gradient of each row of the map, weighted with the map
        of_q = torch.empty_like(q)
        of_k, of_v = (x.new_empty(len(x), x.shape[2], x.shape[1]) for x in (k, v))  # transposed, for whole rows
        for part in _parts(weights):
            of_scores = torch.baddbmm(-mean[part], g[part], v[part].mT).mul_(weights[part])
            torch.bmm(of_scores, k[part], out=of_q[part])
            torch.bmm(q[part].mT, of_scores, out=of_k[part])
            torch.bmm(g[part].mT, weights[part], out=of_v[part])
        by_head = gradient.shape[:2]
        of_q *= q.shape[-1] ** -0.5
        return of_q.unflatten(0, by_head), of_k.mT.unflatten(0, by_head), of_v.mT.unflatten(0, by_head)


def _parts(weights: Tensor) -> list[slice]:
    """Slices of the first axis of the attention maps, (b * heads, n, m), of about CHUNK elements."""
    count = max(1, CHUNK // (weights.shape[1] * weights.shape[2]))
    return [slice(start, start + count) for start in range(0, len(weights), count)]
