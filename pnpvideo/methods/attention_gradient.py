"""Gradients of the cross-attention loss L_xa (arXiv 2302.03027, section 3.3), lane by lane."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pnpvideo.diffusion.finite import finite
from pnpvideo.edits.cross_attention import CrossAttentionMaps, map_distance
from pnpvideo.errors import OptionError
from pnpvideo.injection import Conditioning, Kind, Lanes, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.method import Probe

SCALES = (2.0**12, 2.0**4, 1.0)
"""Of the loss, against underflow where the network runs in fp16: the first whose gradient is finite."""


def attention_gradients(x: Tensor, probe: Probe, most_pixels: int | None, checkpointing: bool) -> dict[str, Tensor]:
    """dL_xa / dx of each lane, (f, c, h, w), fp32, for latents ``x`` of the same shape.

    most_pixels: larger attention maps do not count; None: all do. checkpointing: less memory, more time.
    """
    reference = reference_lanes(probe.lanes, probe.words)
    words = {name: probe.words[lane] for lane, name in reference.items() if name != SOURCE}
    words[SOURCE] = probe.words[SOURCE]
    slopes = {name: torch.zeros_like(x) for name in probe.lanes}
    maps = CrossAttentionMaps(select(probe.sites, Kind.CROSS), most_pixels)
    for frame in range(len(x)):  # one at a time: nothing is shared, and a graph is large
        with probe.watched([maps], checkpointing) as ask:
            with torch.no_grad():
                names = tuple(dict.fromkeys(reference.values()))
                ask(Lanes(names, (frame,)), dict.fromkeys(names, probe.source(frame)), words)
                wanted = {
                    site: {lane: found[name] for lane, name in reference.items()} for site, found in maps.take().items()
                }
            if not wanted:
                raise OptionError(
                    f"map_pixels is {most_pixels}; the smallest attention map at this size has {maps.smallest}"
                )
            maps.last = next(reversed(wanted))
            with torch.enable_grad():  # only the latents ask for a gradient; the network is frozen
                leaves = {lane: x[frame : frame + 1].detach().clone().requires_grad_() for lane in probe.lanes}
                ask(Lanes(probe.lanes, (frame,)), leaves, probe.words)
                found = _gradient(map_distance(maps.take(), wanted), list(leaves.values()))
        for name, slope in zip(leaves, found, strict=True):
            slopes[name][frame] = slope[0]
    return slopes


def _gradient(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    for scale in SCALES:
        slopes = torch.autograd.grad(loss * scale, leaves, retain_graph=scale != SCALES[-1])
        if all(bool(torch.isfinite(slope).all()) for slope in slopes):
            break
    return [finite(slope / scale, "the gradient of the cross-attention loss") for slope in slopes]


def reference_lanes(lanes: Sequence[str], words: Mapping[str, Conditioning]) -> dict[str, str]:
    """Edited lane -> the reference's lane that it is compared with; lanes of equal prompts are evaluated once."""
    reference = {}
    for lane in lanes:
        same = lane == "positive" or words[lane].equals(words[SOURCE])
        reference[lane] = SOURCE if same else lane
    return reference
