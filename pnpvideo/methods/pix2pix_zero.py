"""Cross-attention guidance (pix2pix-zero, arXiv 2302.03027, section 3.3): the edit looks where the source looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pnpvideo.diffusion.finite import finite
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.edits.cross_attention import CrossAttentionMaps, map_distance
from pnpvideo.errors import OptionError
from pnpvideo.injection import Edit, Kind, Lanes, Moment, Site, Until, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.method import Corrected, Probe

SCALES = (2.0**12, 2.0**4, 1.0)
"""Of the loss, against underflow where the network runs in fp16: the first whose gradient is finite."""


@dataclass(frozen=True, kw_only=True)
class Pix2PixZero:
    """Before each step, one gradient step of size ``weight`` (lambda_xa) on x, towards the source's attention maps.

    Reference and edit go in lock-step: the source's maps of a step are made, used and dropped, so only one step's maps
    live. Each edited lane is compared with the source's latents under the words that this lane would have without the
    edit: the source prompt in place of the positive one, its own in the others.

    update: "paper", the network is asked at x - weight * gradient and the step starts from x itself; "code" (of the
    authors), each lane moves by its own gradient and the step starts from where the negative lane has gone.
    until: share of the steps, in [0, 1], that are guided; 1: all, as published.
    most_pixels: only maps of at most so many pixels count; None: all. checkpointing: memory for time.
    """

    weight: float = 0.1
    update: str = "paper"
    until: float = 1.0
    most_pixels: int | None = None
    checkpointing: bool = field(default=False, compare=False)  # no part of the result

    @property
    def inverts(self) -> bool:
        return True

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        return trajectory.at(schedule.steps), schedule.steps

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        return []

    def corrects(self, moment: Moment) -> bool:
        return self.weight != 0 and moment in Until(self.until)

    def correct(self, x: Tensor, moment: Moment, probe: Probe) -> Corrected:
        if not self.corrects(moment):
            return Corrected.unchanged(x, probe.lanes)
        reference = reference_lanes(probe.lanes, probe.words)
        words = {name: probe.words[lane] for lane, name in reference.items() if name != SOURCE}
        words[SOURCE] = probe.words[SOURCE]
        slopes = {name: torch.zeros_like(x) for name in probe.lanes}
        watch = CrossAttentionMaps(select(probe.sites, Kind.CROSS), self.most_pixels)
        for frame in range(len(x)):  # one at a time: nothing is shared, and a graph is large
            for name, slope in self._slopes(watch, x[frame : frame + 1], frame, probe, reference, words).items():
                slopes[name][frame] = slope[0]
        if self.update == "paper":
            moved = x - self.weight * sum(slopes.values())
            return Corrected(dict.fromkeys(probe.lanes, moved), x)
        lanes = {name: x - self.weight * slope for name, slope in slopes.items()}
        return Corrected(lanes, lanes[probe.lanes[0]])

    def _slopes(
        self,
        watch: CrossAttentionMaps,
        x: Tensor,
        frame: int,
        probe: Probe,
        reference: Mapping[str, str],
        words: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """dL_xa / dx of each lane, (1, c, h, w), fp32. Only x asks for a gradient; the network is frozen."""
        names = tuple(dict.fromkeys(reference.values()))
        with probe.watched([watch], self.checkpointing) as ask:
            with torch.no_grad():
                ask(Lanes(names, (frame,)), dict.fromkeys(names, probe.source(frame)), words)
                wanted = {
                    site: {lane: maps[name] for lane, name in reference.items()} for site, maps in watch.take().items()
                }
            if not wanted:
                raise OptionError(
                    f"map_pixels is {self.most_pixels}; the smallest attention map at this size has {watch.smallest}"
                )
            watch.last = next(reversed(wanted))
            with torch.enable_grad():
                leaves = {lane: x.detach().clone().requires_grad_() for lane in probe.lanes}
                ask(Lanes(probe.lanes, (frame,)), leaves, probe.words)
                loss = map_distance(watch.take(), wanted)
                slopes = _gradient(loss, list(leaves.values()))
        return dict(zip(leaves, slopes, strict=True))


def _gradient(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    for scale in SCALES:
        slopes = torch.autograd.grad(loss * scale, leaves, retain_graph=scale != SCALES[-1])
        if all(bool(torch.isfinite(slope).all()) for slope in slopes):
            break
    return [finite(slope / scale, "the gradient of the cross-attention loss") for slope in slopes]


def reference_lanes(lanes: Sequence[str], words: Mapping[str, Tensor]) -> dict[str, str]:
    """Edited lane -> the lane of the reference that it is compared with: equal words are asked once."""
    reference = {}
    for lane in lanes:
        same = lane == "positive" or torch.equal(words[lane], words[SOURCE])
        reference[lane] = SOURCE if same else lane
    return reference
