"""Gradients of the cross-attention loss L_xa (arXiv 2302.03027, section 3.3) for each lane."""

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
"""Loss scales against underflow in fp16, tried in order; the first with a finite gradient is used."""


def attention_gradients(x: Tensor, probe: Probe, most_pixels: int | None, checkpointing: bool) -> dict[str, Tensor]:
    """dL_xa / dx for each lane, (f, c, h', w') fp32 like the latents ``x``.

    most_pixels: larger attention maps are left out of the loss; None: none are. checkpointing: gradient checkpointing,
    less memory for more time. Raises OptionError if ``most_pixels`` leaves no map.
    """
    reference = reference_lanes(probe.lanes, probe.words)
    words = {name: probe.words[lane] for lane, name in reference.items() if name != SOURCE}
    words[SOURCE] = probe.words[SOURCE]
    slopes = {name: torch.zeros_like(x) for name in probe.lanes}
    maps = CrossAttentionMaps(select(probe.sites, Kind.CROSS), most_pixels)
    for frame in range(len(x)):  # one at a time: frames are independent here, and a graph takes much memory
        with probe.watched([maps], checkpointing) as ask:
            with torch.no_grad():
                names = tuple(dict.fromkeys(reference.values()))
                ask(Lanes(names, (frame,)), dict.fromkeys(names, probe.source(frame)), words)
                wanted = {
                    site: {lane: by_lane[name] for lane, name in reference.items()}
                    for site, by_lane in maps.take().items()
                }
            if not wanted:
                raise OptionError(
                    f"map_pixels is {most_pixels}; the smallest attention map at this size has {maps.smallest}"
                )
            maps.last = next(reversed(wanted))
            with torch.enable_grad():  # only the latents require a gradient; the network is frozen
                leaves = {lane: x[frame : frame + 1].detach().clone().requires_grad_() for lane in probe.lanes}
                ask(Lanes(probe.lanes, (frame,)), leaves, probe.words)
                frame_slopes = _gradient(map_distance(maps.take(), wanted), list(leaves.values()))
        for name, slope in zip(leaves, frame_slopes, strict=True):
            slopes[name][frame] = slope[0]
    return slopes


def _gradient(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    for scale in SCALES:
        slopes = torch.autograd.grad(loss * scale, leaves, retain_graph=scale != SCALES[-1])
        if all(bool(torch.isfinite(slope).all()) for slope in slopes):
            break
    return [finite(slope / scale, "the gradient of the cross-attention loss") for slope in slopes]


def reference_lanes(lanes: Sequence[str], words: Mapping[str, Conditioning]) -> dict[str, str]:
    """Edited lane -> the lane that provides its reference maps.

    That is the source lane, for the positive lane and for any lane with the source's prompt, else a lane of the same
    prompt at the source's latents.
    """
    reference = {}
    for lane in lanes:
        same = lane == "positive" or words[lane].equals(words[SOURCE])
        reference[lane] = SOURCE if same else lane
    return reference
