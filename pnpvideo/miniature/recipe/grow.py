"""Begin a wider autoencoder with a narrower one's weights, so that what it has learned is kept."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

FRESH_LOG_VARIANCE = -6.0
"""Of the latent channels that are new: little noise."""


def grown(model: AutoencoderKL, into: AutoencoderKL) -> AutoencoderKL:
    """Fill ``into``, which has at least as many channels everywhere, with the function of ``model``.

    New channels of features are copies, which share their readers' weights unevenly (Net2Net, arXiv 1511.05641). Within
    a group of a group norm some channels are copied and some not, so its statistics shift a little: the function is
    exactly kept where a width stays or doubles. New latent channels begin as small random features of what the encoder
    sees, with little noise, and the decoder does not read them yet.
    """
    rng, groups = torch.Generator().manual_seed(0), model.config.norm_num_groups
    before, after = model.config.latent_channels, into.config.latent_channels
    if after < before:
        raise ValueError(f"{after} latent channels are fewer than the {before} there are")
    with torch.no_grad():
        for name, layer in into.named_modules():
            if isinstance(layer, nn.GroupNorm) or (isinstance(layer, nn.Conv2d) and not _touches_latent(name)):
                _widen(name, layer, model, groups, rng)
        _grow_latent(model, into, before, after, groups, rng)
    return into


def _touches_latent(name: str) -> bool:
    return name in ("encoder.conv_out", "quant_conv", "post_quant_conv", "decoder.conv_in")


def _copies(before: int, after: int, groups: int) -> Tensor:
    """Of which old channel each new one is a copy, so that groups stay together."""
    if before == after or before < groups:
        return torch.arange(after)
    if after < before:
        raise ValueError(f"{after} channels are fewer than the {before} there are")
    old, new = before // groups, after // groups
    place = torch.arange(new)
    within = torch.where(place < old, place, (place - old) % old)
    return (torch.arange(groups)[:, None] * old + within).flatten()


def _widen(name: str, layer: nn.GroupNorm | nn.Conv2d, model: AutoencoderKL, groups: int, rng: torch.Generator) -> None:
    weight, bias = model.get_parameter(f"{name}.weight"), model.get_parameter(f"{name}.bias")
    rows = _copies(len(weight), len(layer.weight), groups)
    wider = weight[rows]
    if isinstance(layer, nn.Conv2d):
        columns = _copies(weight.shape[1], layer.in_channels, groups)
        shares = 0.5 + torch.rand(len(columns), generator=rng)
        shares /= torch.zeros(weight.shape[1]).index_add_(0, columns, shares)[columns]
        wider = wider[:, columns] * shares[None, :, None, None]
    layer.load_state_dict({"weight": wider, "bias": bias[rows]})


def _grow_latent(
    model: AutoencoderKL, into: AutoencoderKL, before: int, after: int, groups: int, rng: torch.Generator
) -> None:
    """Means come first, then log variances: the new channels stand behind the old ones of each."""
    old = torch.tensor([*range(before), *range(after, after + before)])
    new = torch.tensor([*range(before, after), *range(after + before, 2 * after)])
    widest = _copies(model.encoder.conv_out.in_channels, into.encoder.conv_out.in_channels, groups)
    if len(widest) != model.encoder.conv_out.in_channels:
        raise ValueError("the lowest level cannot be made wider")
    for layer, given in ((into.encoder.conv_out, model.encoder.conv_out), (into.quant_conv, model.quant_conv)):
        layer.bias[old] = given.bias
    into.encoder.conv_out.weight[old] = model.encoder.conv_out.weight
    into.encoder.conv_out.bias[new[len(new) // 2 :]] = FRESH_LOG_VARIANCE
    into.decoder.conv_in.weight.zero_()
    into.decoder.conv_in.weight[:, :before] = model.decoder.conv_in.weight
    into.decoder.conv_in.bias.copy_(model.decoder.conv_in.bias)
    into.post_quant_conv.bias.zero_()
    into.post_quant_conv.bias[:before] = model.post_quant_conv.bias
    for layer, given, kept, fresh in (
        (into.quant_conv, model.quant_conv, old, new),
        (into.post_quant_conv, model.post_quant_conv, old[:before], new[: after - before]),
    ):
        layer.weight.zero_()
        layer.weight[kept[:, None], kept] = given.weight
        layer.weight[fresh, fresh] = 1.0
    into.quant_conv.bias[new] = 0.0
