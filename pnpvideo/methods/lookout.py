"""What an inversion sees on its way: token flow's correspondences, found where the source lane would ask again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.edits.token_flow import Correspondences
from pnpvideo.injection import Lanes, Moment, injected
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.method import Trajectory


@dataclass(frozen=True)
class Lookout:
    """Makes an inversion's calls at (x_i, t_i) as the source lane of the sampling step at level i would make them: by
    the same passes, so that what is found is the same, to the bit, and the source need not go along for them.

    source: trajectory of the anchors, ``anchors`` of them.
    """

    backend: Backend
    schedule: Schedule
    coherence: Coherence
    correspondences: Correspondences
    words: Mapping[str, Tensor]
    place: tuple[int, int] = (0, 0)
    anchors: int = 0
    source: Trajectory | None = None

    def wanted(self, frames: int, level: int) -> bool:
        """Does token flow read the source at this level?"""
        moment = self._moment(frames, level)
        self.correspondences.forget(moment)  # the first timestep is asked twice: the clean latents come before its own
        if level == self.schedule.steps:  # an inversion stops there, and asks about the clean latents at most
            return False
        return self.correspondences.needs_source(moment, moment.keyframes)

    def together(self, frames: int, level: int) -> int:
        """How many frames a call takes at the least: the keyframes of this level."""
        return len(self._moment(frames, level).keyframes)

    def predict(self, x: Tensor, level: int) -> Tensor:
        """The network's answers for the latents ``x`` (f, c, h, w) of the window's own drawings."""
        moment = self._moment(len(x), level)
        if self.source is not None:
            x = torch.cat((self.source.at(level).to(x), x))
        answers = torch.empty_like(x)
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
