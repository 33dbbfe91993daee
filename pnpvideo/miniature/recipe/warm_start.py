"""Start training from the weights of an earlier edition, across changed widths and vocabularies."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

NEW_LOG_VARIANCE = -6.0
"""Of added latent channels: little noise."""


def copy_known_weights(
    model: nn.Module, earlier: nn.Module, tokens: dict[str, int], earlier_tokens: dict[str, int]
) -> int:
    """Copy the weights of ``earlier`` into ``model``, whose vocabulary may differ.

    In tables with a row for each token, the rows of tokens that both vocabularies have are copied. Weights that only
    one of the models has are skipped. Returns the number of common tokens. Raises ValueError if a size other than the
    vocabulary's differs.
    """
    known = [(new, earlier_tokens[token]) for token, new in tokens.items() if token in earlier_tokens]
    rows, earlier_rows = (torch.tensor(numbers) for numbers in zip(*known, strict=True))
    weights = earlier.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            before = weights.get(name)
            if before is None:
                continue
            if value.shape[:1] == (len(tokens),) and before.shape[:1] == (len(earlier_tokens),):
                value[rows] = before[earlier_rows].to(value.dtype)
            elif value.shape == before.shape:
                value.copy_(before)
            else:
                raise ValueError(f"{name} was {tuple(before.shape)} and is {tuple(value.shape)}")
    return len(known)


def grow_autoencoder(model: AutoencoderKL, wider: AutoencoderKL) -> AutoencoderKL:
    """Fill ``wider``, which has at least as many channels everywhere, so that it computes what ``model`` does.

    New feature channels are copies, and the weights that read them are divided unevenly between the copies (Net2Net,
    arXiv 1511.05641). Within a group of a group norm only some channels are copied, which shifts its statistics a
    little: the result is exact where a width stays or doubles. New latent channels start as small random features with
    little noise, which the decoder ignores at first. Raises ValueError for fewer channels.
    """
    rng, groups = torch.Generator().manual_seed(0), model.config.norm_num_groups
    before, after = model.config.latent_channels, wider.config.latent_channels
    if after < before:
        raise ValueError(f"{after} latent channels are fewer than the {before} there are")
    with torch.no_grad():
        for name, layer in wider.named_modules():
            if isinstance(layer, nn.GroupNorm) or (isinstance(layer, nn.Conv2d) and not _touches_latent(name)):
                _widen(name, layer, model, groups, rng)
        _grow_latent(model, wider)
    return wider


def _touches_latent(name: str) -> bool:
    return name in ("encoder.conv_out", "quant_conv", "post_quant_conv", "decoder.conv_in")


def _copies(before: int, after: int, groups: int) -> Tensor:
    """The old channel that each new channel copies, (after,) int; channels stay in their group."""
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


def _grow_latent(model: AutoencoderKL, wider: AutoencoderKL) -> None:
    """Fill the layers around the latent. Moments are the means of all channels, then their log variances."""
    before, after = model.config.latent_channels, wider.config.latent_channels
    old = torch.tensor([*range(before), *range(after, after + before)])
    new = torch.tensor([*range(before, after), *range(after + before, 2 * after)])
    if wider.encoder.conv_out.in_channels != model.encoder.conv_out.in_channels:
        raise ValueError("the lowest level cannot be made wider")
    for layer, source in ((wider.encoder.conv_out, model.encoder.conv_out), (wider.quant_conv, model.quant_conv)):
        layer.bias[old] = source.bias
    wider.encoder.conv_out.weight[old] = model.encoder.conv_out.weight
    wider.encoder.conv_out.bias[new[len(new) // 2 :]] = NEW_LOG_VARIANCE
    wider.decoder.conv_in.weight.zero_()
    wider.decoder.conv_in.weight[:, :before] = model.decoder.conv_in.weight
    wider.decoder.conv_in.bias.copy_(model.decoder.conv_in.bias)
    wider.post_quant_conv.bias.zero_()
    wider.post_quant_conv.bias[:before] = model.post_quant_conv.bias
    for layer, source, copied, fresh in (
        (wider.quant_conv, model.quant_conv, old, new),
        (wider.post_quant_conv, model.post_quant_conv, old[:before], new[: after - before]),
    ):
        layer.weight.zero_()
        layer.weight[copied[:, None], copied] = source.weight
        layer.weight[fresh, fresh] = 1.0
    wider.quant_conv.bias[new] = 0.0
