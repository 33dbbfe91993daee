"""Record cross-attention maps, and measure the distance between two sets of them (arXiv 2302.03027, section 3.3)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site, StopForward
from pnpvideo.injection.edit import Attend


class CrossAttentionMaps:
    """Record the attention weights M = softmax(q k^T / sqrt(d)) of one pass, in fp32; the output is unchanged.

    The maps are site -> lane -> (frames, heads, pixels, tokens). most_pixels: larger maps are skipped. smallest: pixels
    of the smallest map so far, skipped ones included. last: the last site to record; StopForward stops the pass there.
    """

    def __init__(self, sites: Iterable[Site], most_pixels: int | None = None) -> None:
        self.sites, self.most_pixels = tuple(sites), most_pixels
        self.smallest: int | None = None
        self.last: Site | None = None
        self._maps: dict[Site, dict[str, Tensor]] | None = {}

    def take(self) -> dict[Site, dict[str, Tensor]]:
        """Return the maps of the last pass and stop recording, so that recomputed blocks are not recorded again."""
        taken, self._maps = self._maps or {}, None
        return taken

    def begin(self, moment: Moment) -> None:
        self._maps = {}

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return True

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        pixels = call.hidden.shape[1]
        self.smallest = pixels if self.smallest is None else min(pixels, self.smallest)
        if self.most_pixels is None or pixels <= self.most_pixels:
            maps = {lane: attention_map(call.q[lane], call.k[lane], call.heads) for lane in call.lanes.names}
            if self._maps is not None:  # None: gradient checkpointing runs this block again, with the same operations
                self._maps[call.site] = maps
                if call.site == self.last:
                    raise StopForward
        return attend(call)


def attention_map(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Attention weights softmax(q k^T / sqrt(d)), fp32: q (f, n, c), k (f, m, c) -> (f, heads, n, m); d = c / heads."""
    q, k = (value.float().unflatten(2, (heads, -1)).transpose(1, 2) for value in (q, k))
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1)


def map_distance(maps: dict[Site, dict[str, Tensor]], wanted: dict[Site, dict[str, Tensor]]) -> Tensor:
    """Loss L_xa: squared differences of ``maps`` and ``wanted``, summed over sites, lanes and frames.

    Each term is sum((M - M_ref)^2) / (lanes * heads), as in the authors' code. A frame's gradient depends on its own
    maps only, whatever the batch. wanted: must have the sites and lanes of ``maps``. Raises ValueError if there are no
    maps.
    """
    total = None
    for site, lanes in maps.items():
        for lane, weights in lanes.items():
            term = (weights - wanted[site][lane]).square().sum() / (len(lanes) * weights.shape[1])
            total = term if total is None else total + term
    if total is None:
        raise ValueError("no cross-attention map was recorded")
    return total
