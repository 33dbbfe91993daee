"""One guided evaluation of all frames of a shot: lanes, passes and guidance put together."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.injection import Lanes, Moment, Session
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.method import Method, Trajectory


@dataclass(frozen=True)
class Denoiser:
    """Called as ``denoiser(x, level)`` by the sampler. ``words``: lane -> text embedding (tokens, channels)."""

    backend: Backend
    session: Session
    schedule: Schedule
    method: Method
    coherence: Coherence
    guidance: Guidance
    words: Mapping[str, Tensor]
    trajectory: Trajectory
    shot: int = 0

    def __call__(self, x: Tensor, level: int) -> Tensor:
        """The guided network output (f, c, h, w) for the latents ``x`` of ``level``, fp32."""
        steps, frames = self.schedule.steps, x.shape[0]
        step = steps - level
        keyframes = self.coherence.keyframes(frames, self.shot, step)
        moment = Moment(step, steps, self.schedule.timestep(level), keyframes)
        for edit in self.session.edits:
            edit.begin(moment)
        x = self.method.correct(x, moment)
        names = self.guidance.lanes(step, steps)
        if any(edit.needs_source(moment) for edit in self.session.edits):
            names = (SOURCE, *names)
        guided = torch.empty_like(x)
        for chosen in self.coherence.passes(frames, keyframes):
            lanes, rows = Lanes(names, chosen), list(chosen)
            inputs = {name: x[rows] for name in lanes.edited}
            if SOURCE in names:
                inputs[SOURCE] = self.trajectory.at(level)[rows].to(x.device)
            with self.session.during(moment, lanes):
                output = self.backend.predict(lanes.stack(inputs), moment.timestep, lanes.spread(self.words))
            guided[rows] = self.guidance.combine(lanes.split(output), step, steps)
        return guided
