"""What a network's cross-attention looks at: maps kept for pix2pix-zero (arXiv 2302.03027, section 3.3)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from pnpvideo.injection import AttentionCall, Enough, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend


class CrossAttentionMaps:
    """Keeps each site's weights M = softmax(q k^T / sqrt(d)) of one pass, in fp32: site -> lane -> (frames, heads,
    pixels, tokens). The output of the attention is left to what stands inside: this edit only looks.

    most_pixels: larger maps are passed over. smallest: the pixels of the smallest map that was met. last: the site
    after which there is nothing to be seen, once it is known; a pass is ended there with Enough.
    """

    def __init__(self, sites: Iterable[Site], most_pixels: int | None = None) -> None:
        self.sites, self.most_pixels = tuple(sites), most_pixels
        self.smallest: int | None = None
        self.last: Site | None = None
        self._maps: dict[Site, dict[str, Tensor]] | None = {}

    def watch(self) -> None:
        """Keep the maps of the pass that begins."""
        self._maps = {}

    def take(self) -> dict[Site, dict[str, Tensor]]:
        """The maps of the pass that has ended; nothing of it, nor of what recomputes it, is kept here any more."""
        taken, self._maps = self._maps or {}, None
        return taken

    def begin(self, moment: Moment) -> None:
        self.watch()

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return True

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        pixels = call.hidden.shape[1]
        self.smallest = pixels if self.smallest is None else min(pixels, self.smallest)
        if self.most_pixels is None or pixels <= self.most_pixels:
            maps = {lane: attention_map(call.q[lane], call.k[lane], call.heads) for lane in call.lanes.names}
            if self._maps is not None:  # a recomputed block must do the same, but is not looked at again
                self._maps[call.site] = maps
                if call.site == self.last:
                    raise Enough
        return attend(call)


def attention_map(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(d)), d the channels of a head: q (f, n, c), k (f, m, c) -> (f, heads, n, m), fp32."""
    q, k = (value.float().unflatten(2, (heads, -1)).transpose(1, 2) for value in (q, k))
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1)


def map_distance(maps: dict[Site, dict[str, Tensor]], wanted: dict[Site, dict[str, Tensor]]) -> Tensor:
    """L_xa, the sum over frames of sum((M - M_ref)^2) / (lanes heads), over all sites, as the reference code has it.

    Each frame's own maps alone decide its gradient, however many are in the batch. ``wanted`` names, for each lane of
    ``maps``, the map that it should have.
    """
    total = None
    for site, lanes in maps.items():
        for lane, found in lanes.items():
            term = (found - wanted[site][lane]).square().sum() / (len(lanes) * found.shape[1])
            total = term if total is None else total + term
    if total is None:
        raise ValueError("no cross-attention was looked at")
    return total
