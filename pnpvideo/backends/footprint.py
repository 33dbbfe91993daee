"""What one network call holds at once: found by running it on tensors that have shapes and no contents."""

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, SD3Transformer2DModel, UNet2DConditionModel
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.backends.size_conditioning import added_conditions


class Footprint(NamedTuple):
    """Bytes. weights: of the network, the autoencoder and the text encoders. call: peak memory of one
    forward pass of one latent. tokens: the outputs of all its self-attentions for one latent. picture: the
    most that live while the autoencoder decodes, or encodes, one picture."""

    weights: int
    call: int
    tokens: int
    picture: int


def of_network(
    network: UNet2DConditionModel,
    shape: tuple[int, ...],
    context: tuple[int, int],
    pooled: int | None = None,
    size: tuple[int, int] = (0, 0),
) -> tuple[int, int]:
    """(call, tokens) for a latent of ``shape`` (c, h, w), told ``context`` (tokens, channels), in the network's dtype.

    pooled: channels of the pooled text, where the network reads one, and the picture's ``size``.

    Attention counts as a fused kernel has it: its weights are never held.
    """
    found: list[int] = []
    with torch.device("meta"), torch.no_grad():
        twin = UNet2DConditionModel.from_config(network.config).to(network.dtype).eval()
        twin.set_attn_processor(FusedAttention(found))
        x, words = (torch.empty((1, *size), dtype=network.dtype) for size in (shape, context))
        whole = None if pooled is None else torch.empty((1, pooled), dtype=network.dtype)
        added = added_conditions(whole, *size)
        with Living() as living:
            twin(x, 1, words, added_cond_kwargs=added, return_dict=False)
    return living.peak, sum(found)


def of_transformer(
    network: SD3Transformer2DModel, shape: tuple[int, ...], context: tuple[int, int], pooled: int
) -> tuple[int, int]:
    """The same of Stable Diffusion 3; (call, tokens of pictures)."""
    found: list[int] = []
    with torch.device("meta"), torch.no_grad():
        twin = SD3Transformer2DModel.from_config(network.config).to(network.dtype).eval()
        twin.set_attn_processor(FusedJointAttention(found))
        x, words, whole = (torch.empty((1, *size), dtype=network.dtype) for size in (shape, context, (pooled,)))
        told = torch.empty((1,))
        with Living() as living:
            twin(x, words, whole, told, return_dict=False)
    return living.peak, sum(found)


def of_autoencoder(vae: AutoencoderKL | AutoencoderTiny, shape: tuple[int, ...], factor: int) -> int:
    """(picture) for latents of ``shape`` (c, h, w), each cell ``factor`` pixels wide."""
    with torch.device("meta"), torch.no_grad():
        with quiet_libraries():  # a tiny one's config states more than its class reads
            twin = type(vae).from_config(vae.config)
        twin = twin.to(vae.dtype).eval()
        latent = torch.empty((1, *shape), dtype=vae.dtype)
        pixels = torch.empty((1, 3, shape[1] * factor, shape[2] * factor), dtype=vae.dtype)
        with Living() as decoding:
            twin.decode(latent)
        with Living() as encoding:
            twin.encode(pixels)
    peak: int = max(decoding.peak, encoding.peak)
    return peak


class FusedAttention:
    """A diffusers attention processor that makes what a fused attention makes, and notes what self-attentions hold."""

    def __init__(self, found: list[int]) -> None:
        self.found = found

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *_: Any, **__: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        mixed = torch.empty_like(q)
        del q, k, v
        if encoder_hidden_states is None:
            self.found.append(mixed.nbytes)
        projected: Tensor = attn.to_out[0](mixed)
        return projected


class FusedJointAttention:
    """The same for attention of pictures and text together; notes what those of pictures hold."""

    def __init__(self, found: list[int]) -> None:
        self.found = found

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *_: Any, **__: Any
    ) -> Any:
        both = [(hidden_states, attn.to_q, attn.to_k, attn.to_v)]
        if encoder_hidden_states is not None:
            both.append((encoder_hidden_states, attn.add_q_proj, attn.add_k_proj, attn.add_v_proj))
        projected = [[layer(value) for layer in layers] for value, *layers in both]
        joined = [torch.cat(parts, 1) for parts in zip(*projected, strict=True)]
        mixed = torch.empty_like(joined[0])
        del projected, joined
        length = hidden_states.shape[1]
        self.found.append(mixed[:, :length].numel() * mixed.element_size())
        picture = attn.to_out[0](mixed[:, :length])
        if encoder_hidden_states is None:
            return picture
        return picture, mixed[:, length:] if attn.context_pre_only else attn.to_add_out(mixed[:, length:])


class Living(TorchDispatchMode):
    """Counts the bytes of tensors from when an operation makes them until nothing holds them any more."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch gives it no types
        self.peak = self._now = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_storage(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor) and _storage(value) not in self._seen | given:  # no view of what there was
                self._count(value)
        return made

    def _count(self, value: Tensor) -> None:
        key, size = _storage(value), value.untyped_storage().nbytes()
        self._seen.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(value.untyped_storage(), self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._now -= size


def _storage(value: Tensor) -> int:
    return int(value.untyped_storage()._cdata)
