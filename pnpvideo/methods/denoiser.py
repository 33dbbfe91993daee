"""One guided evaluation of all frames of a shot: lanes, passes, correction and guidance put together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import second_order_term
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.injection import Edit, Lanes, Moment, Session, Site, StopForward, checkpointed, injected
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.method import Corrected, Method, Pass

SOURCE_SECOND_ORDER = 0.6
"""The share of the source's second-order term that an edit's step takes; chosen on clips (docs/architecture.md)."""


@dataclass(frozen=True)
class Denoiser:
    """Called as ``denoiser(x, level)`` by the sampler.

    words: lane -> text embedding (tokens, channels). place: which shot, and which window of it. anchors: how many
    frames, the first ones, are keyframes at every step.
    """

    backend: Backend
    session: Session
    schedule: Schedule
    method: Method
    coherence: Coherence
    guidance: Guidance
    words: Mapping[str, Tensor]
    trajectory: Trajectory
    place: tuple[int, int] = (0, 0)
    anchors: int = 0

    def __call__(self, x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """For the latents ``x`` of ``level``: those to step from and the guided output there, (f, c, h, w), fp32."""
        steps, frames = self.schedule.steps, x.shape[0]
        step = steps - level
        keyframes = self.coherence.keyframes(frames, self.place, step, self.anchors)
        moment = Moment(step, steps, self.schedule.timestep(level), keyframes)
        for edit in self.session.edits:
            edit.begin(moment)
        edited = self.guidance.lanes(step, steps)
        corrected = self.method.correct(x, moment, _Probe(self, x, moment, level, edited))
        outputs = {name: torch.empty_like(x) for name in edited}
        for chosen in self.coherence.passes(frames, keyframes):
            lanes, rows = Lanes(edited, chosen), list(chosen)
            if (last := self._last_of_source(moment, chosen)) is not None:
                alone = Lanes((SOURCE,), chosen)
                with self.session.during(moment, alone, last):
                    self.backend.predict(self.source(level, rows, x), moment.timestep, alone.spread(self.words))
            inputs = {name: corrected.lanes[name][rows] for name in edited}
            with self.session.during(moment, lanes):
                output = self.backend.predict(lanes.stack(inputs), moment.timestep, lanes.spread(self.words))
            for name, part in lanes.split(output).items():
                outputs[name][rows] = part
        return corrected.origin, self._guided(corrected, outputs, step, level)

    def _last_of_source(self, moment: Moment, frames: tuple[int, ...]) -> Site | None:
        """The last site at which an edit reads the source of these frames; None where none does."""
        read = {site for edit in self.session.edits if edit.needs_source(moment, frames) for site in edit.sites}
        return next((site for site in reversed(self.backend.sites) if site in read), None)

    def within(self, batch: int) -> "Denoiser":
        """The same, ``batch`` frames a network call."""
        return replace(self, coherence=replace(self.coherence, batch=batch))

    def source(self, level: int, rows: list[int], like: Tensor) -> Tensor:
        """The source's latents of ``level``, those rows, where ``like`` is."""
        return self.trajectory.at(level)[rows].to(like.device)

    def second_order(self, level: int) -> Tensor | None:
        """The second-order term of the step down from ``level`` for KnownSecondOrder: a share of the source's."""
        term = second_order_term(self.trajectory.at, self.schedule, level)
        return None if term is None else SOURCE_SECOND_ORDER * term.to(self.backend.device)

    def _guided(self, corrected: Corrected, outputs: dict[str, Tensor], step: int, level: int) -> Tensor:
        """Guidance over the lanes' outputs; where a lane was asked elsewhere than at the origin, over its noise."""
        if all(latents is corrected.origin for latents in corrected.lanes.values()):
            return self.guidance.combine(outputs, step, self.schedule.steps)
        if (
            self.schedule.signals[level] == 0
        ):  # nothing of the picture is in x, so it does not matter where a lane was asked
            return self.guidance.combine(outputs, step, self.schedule.steps)
        noises = {
            name: self.schedule.estimate(corrected.lanes[name], output, level).eps for name, output in outputs.items()
        }
        eps = self.guidance.combine(noises, step, self.schedule.steps)
        return self.schedule.output(corrected.origin, eps, level)


class _Probe:
    """See Probe: the network as a correction may ask it at one step."""

    def __init__(self, denoiser: Denoiser, x: Tensor, moment: Moment, level: int, lanes: tuple[str, ...]) -> None:
        self.lanes, self.words = lanes, denoiser.words
        self.sites: Sequence[Site] = denoiser.backend.sites
        self._denoiser, self._x, self._moment, self._level = denoiser, x, moment, level

    def source(self, frame: int) -> Tensor:
        return self._denoiser.source(self._level, [frame], self._x)

    @contextmanager
    def watched(self, edits: Sequence[Edit], checkpointing: bool = False) -> Iterator[Pass]:
        backend, moment = self._denoiser.backend, self._moment
        with injected(backend.network, edits) as session, checkpointed(backend.network, checkpointing):

            def ask(lanes: Lanes, latents: Mapping[str, Tensor], words: Mapping[str, Tensor]) -> None:
                for edit in edits:
                    edit.begin(moment)
                session.look(moment, lanes)
                with suppress(StopForward):
                    backend.predict(lanes.stack(latents), moment.timestep, lanes.spread(words))

            yield ask
