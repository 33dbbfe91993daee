"""Record token-flow correspondences during inversion."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.edits.token_flow import Correspondences
from pnpvideo.injection import Lanes, Moment, injected
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.coherence import Coherence


@dataclass(frozen=True)
class Lookout:
    """Make an inversion's network calls exactly as the source lane of the sampling step at the same level makes them.

    The calls have the same frames, so the correspondences are the same to the bit, and sampling needs no source lane
    for them. source: trajectory of the anchors, ``anchors`` of them, which take part in the calls.
    """

    backend: Backend
    schedule: Schedule
    coherence: Coherence
    correspondences: Correspondences
    words: Mapping[str, Tensor]
    place: tuple[int, int] = (0, 0)
    anchors: int = 0
    source: Trajectory | None = None

    def calls(self, frames: int, level: int) -> list[tuple[int, ...]] | None:
        """The frames of each network call at this level, anchors first; None if token flow does not need the source."""
        keyframes = self._moment(frames, level).keyframes
        if level == self.schedule.steps or self.anchors + frames == len(keyframes):
            return None  # the noisiest level is only asked about the latents of the level below it
        return self.coherence.passes(self.anchors + frames, keyframes)

    def together(self, frames: int, level: int) -> int:
        """The smallest number of frames that a call can have: the keyframes of this level."""
        return len(self._moment(frames, level).keyframes)

    def predict(self, x: Tensor, level: int) -> Tensor:
        """The network's outputs for the latents ``x`` (f, c, h, w) of the window's own drawings."""
        moment = self._moment(len(x), level)
        if self.source is not None:
            x = torch.cat((self.source.at(level).to(x), x))
        answers = torch.empty_like(x)
        self.correspondences.forget(moment)  # the first timestep is asked twice, first about the clean latents
        self.correspondences.begin(moment)
        with injected(self.backend.network, [self.correspondences]) as session:
            for chosen in self.coherence.passes(len(x), moment.keyframes):
                lanes, rows = Lanes((SOURCE,), chosen), list(chosen)
                with session.during(moment, lanes):
                    answers[rows] = self.backend.predict(x[rows], moment.timestep, lanes.spread(self.words))
        self.correspondences.keep(moment)
        return answers[self.anchors :]

    def within(self, batch: int) -> "Lookout":
        """The same, ``batch`` frames a network call."""
        return replace(self, coherence=replace(self.coherence, batch=batch))

    def _moment(self, frames: int, level: int) -> Moment:
        step = self.schedule.steps - level
        keyframes = self.coherence.keyframes(self.anchors + frames, self.place, step, self.anchors)
        return Moment(step, self.schedule.steps, self.schedule.timestep(level), keyframes)
