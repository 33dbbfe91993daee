"""Record during inversion what edits need of the source's passes, such as token-flow correspondences."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pnpvideo.engine.run import Run, Window
from pnpvideo.injection import Edit, Lanes, Moment, Recordable, injected
from pnpvideo.injection.lanes import SOURCE


@dataclass(frozen=True)
class SourceRecorder:
    """Make an inversion's network calls the way the source lane of sampling would make them at the same level.

    Each call has the same frames, anchors included, so ``edits`` record the same bits, and sampling needs no source
    pass for them. batch: frames per network call.
    """

    run: Run
    window: Window
    edits: tuple[Recordable, ...]
    batch: int

    @classmethod
    def of(cls, run: Run, window: Window, edits: Sequence[Edit]) -> "SourceRecorder | None":
        """The recorder of a window; None if there is nothing to record, or inversion and sampling evaluate the network
        at different levels."""
        recordable = tuple(edit for edit in edits if isinstance(edit, Recordable))
        if not recordable or not run.solver.looks_back or not run.options.method.inverts or run.options.generate:
            return None
        return cls(run, window, recordable, run.guard.batch)

    def calls(self, level: float) -> list[tuple[int, ...]] | None:
        """The frames of each network call at this level, anchors first; None if no edit needs the source there."""
        if level == self.run.schedule.steps:  # inversion never evaluates the noisiest level's own latents
            return None
        if level != int(level):  # sampling has no step down from between two levels
            return None
        moment = self.moment(int(level))
        if len(moment.keyframes) == self._frames:  # every frame is a keyframe: no correspondence is needed
            return None
        return self.run.options.coherence.passes(self._frames, moment.keyframes, self.batch)

    def smallest_call(self, level: int) -> int:
        """The fewest frames that every call can be reduced to: the keyframes of this level share one."""
        return len(self.moment(level).keyframes)

    def predict(self, x: Tensor, level: int) -> Tensor:
        """The network's outputs for the latents ``x`` (f, c, h, w) of the window's own drawings."""
        anchors, backend = self.window.anchors, self.run.backend
        moment = self.moment(level)
        if anchors:
            x = torch.cat((anchors.source.at(level).to(x), x))
        outputs = torch.empty_like(x)
        for edit in self.edits:
            edit.forget(moment)  # level 1 is evaluated twice, first at the clean latents: the second record counts
            edit.begin(moment)
        with injected(backend.network, self.edits) as session:
            for frames in self.run.options.coherence.passes(len(x), moment.keyframes, self.batch):
                lanes, rows = Lanes((SOURCE,), frames), list(frames)
                with session.during(moment, lanes):
                    words = lanes.spread(self.window.script.prompt_embeddings)
                    outputs[rows] = backend.predict(x[rows], moment.timestep, words)
        for edit in self.edits:
            edit.keep(moment)
        return outputs[len(anchors) :]

    def forget(self) -> None:
        """Drop everything that has been recorded."""
        for edit in self.edits:
            edit.forget()

    def within(self, batch: int) -> "SourceRecorder":
        """A copy with ``batch`` frames per network call."""
        return replace(self, batch=batch)

    def moment(self, level: int) -> Moment:
        """The sampling step down from ``level``."""
        schedule, anchors = self.run.schedule, len(self.window.anchors)
        step = schedule.steps - level
        keyframes = self.run.options.coherence.keyframes(self._frames, self.window.place, step, anchors)
        return Moment(step, schedule.steps, schedule.timestep(level), keyframes)

    @property
    def _frames(self) -> int:
        return len(self.window.anchors) + len(self.window.times)
