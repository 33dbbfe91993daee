"""One guided evaluation of all frames of a window: correction, network calls by pass and lane, guidance."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.coherence.coherence import FIRST, Coherence, Place
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import second_order_term
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.engine.run import Run, Window
from pnpvideo.injection import Conditioning, Edit, Lanes, Moment, Session, Site, StopForward, checkpointed, injected
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.method import Corrected, Method

if TYPE_CHECKING:
    from pnpvideo.methods.method import Pass

SOURCE_SECOND_ORDER = 0.6
"""Factor on the source's second-order term when an edit's step uses it; tuned on clips (docs/architecture.md)."""


class Calls(NamedTuple):
    """The network calls of one step.

    lanes: the edited lanes. passes: for each call its frames, and the last site at which an edit reads the source lane
    of these frames. If there is one, a call of the source lane alone runs first and stops there; None: no such call.
    """

    moment: Moment
    lanes: tuple[str, ...]
    passes: list[tuple[tuple[int, ...], Site | None]]


class Evaluation(NamedTuple):
    """origin: the latents to step from. output: the guided network output there. source: the network output for the
    source at the trajectory's latents; None if the method has no ``source_lanes``. All (f, c, h', w'), fp32."""

    origin: Tensor
    output: Tensor
    source: Tensor | None


@dataclass(frozen=True)
class Denoiser:
    """Evaluate the network with edits and guidance; the sampler calls ``denoiser(x, level)``.

    words: lane -> conditioning of its prompt. trajectory: the source's, of all frames. anchors: number of frames at the
    start of the batch that are keyframes at every step. batch: frames per network call.
    """

    backend: Backend
    session: Session
    schedule: Schedule
    method: Method
    coherence: Coherence
    guidance: Guidance
    words: Mapping[str, Conditioning]
    trajectory: Trajectory
    place: Place = FIRST
    anchors: int = 0
    batch: int = 8

    @classmethod
    def of(cls, run: Run, window: Window, session: Session, trajectory: Trajectory) -> "Denoiser":
        """The denoiser of a window. trajectory: the source's, of the window's anchors, then of its drawings."""
        return cls(
            run.backend,
            session,
            run.schedule,
            run.options.method,
            run.options.coherence,
            window.guidance,
            window.script.prompt_embeddings,
            trajectory,
            window.place,
            len(window.anchors),
            run.guard.batch,
        )

    def calls(self, frames: int, level: int) -> Calls:
        """The network calls of the step down from ``level``, without those of a correction."""
        steps = self.schedule.steps
        step = steps - level
        keyframes = self.coherence.keyframes(frames, self.place, step, self.anchors)
        moment = Moment(step, steps, self.schedule.timestep(level), keyframes)
        passes = self.coherence.passes(frames, keyframes, self.batch)
        lanes = self.guidance.lanes(step, steps)
        return Calls(moment, lanes, [(chosen, self._last_of_source(moment, chosen)) for chosen in passes])

    def __call__(self, x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """The latents to step from and the guided output there, both (f, c, h', w'), fp32, for ``x`` at ``level``."""
        evaluation = self.evaluate(x, level)
        return evaluation.origin, evaluation.output

    def evaluate(self, x: Tensor, level: int) -> Evaluation:
        """Like calling the denoiser, with the source's own output if the method has ``source_lanes``."""
        moment, edited, passes = self.calls(len(x), level)
        for edit in self.session.edits:
            edit.begin(moment)
        corrected = self.method.correct(x, moment, _Probe(self, x, moment, level, edited))
        outputs = {name: torch.empty_like(x) for name in edited}
        source = {name: torch.empty_like(x) for name in self.method.source_lanes}
        for frames, last in passes:
            lanes, rows = Lanes(edited, frames), list(frames)
            if source:
                for name, output in self._source_outputs(moment, frames, self.source(level, rows, x)):
                    source[name][rows] = output
            elif last is not None:
                alone = Lanes((SOURCE,), frames)
                with self.session.during(moment, alone, last):
                    self.backend.predict(self.source(level, rows, x), moment.timestep, alone.spread(self.words))
            inputs = {name: corrected.lanes[name][rows] for name in edited}
            with self.session.during(moment, lanes):
                output = self.backend.predict(lanes.stack(inputs), moment.timestep, lanes.spread(self.words))
            for name, part in lanes.split(output).items():
                outputs[name][rows] = part
        guided = self._guided(corrected, outputs, moment.step, level)
        return Evaluation(corrected.origin, guided, self.method.combine_source(source) if source else None)

    def _source_outputs(self, moment: Moment, frames: tuple[int, ...], x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """(lane, output) for each of the method's ``source_lanes``; edits are active in lane "source" only."""
        for name in self.method.source_lanes:
            lanes = Lanes((name,), frames)
            with self.session.during(moment, lanes) if name == SOURCE else nullcontext():
                yield name, self.backend.predict(x, moment.timestep, lanes.spread(self.words))

    def _last_of_source(self, moment: Moment, frames: tuple[int, ...]) -> Site | None:
        """The last site at which an edit reads the source of these frames; None where none does."""
        read = {site for edit in self.session.edits if edit.needs_source(moment, frames) for site in edit.sites}
        return next((site for site in reversed(self.backend.sites) if site in read), None)

    def within(self, batch: int) -> "Denoiser":
        """A copy with ``batch`` frames per network call."""
        return replace(self, batch=batch)

    def source(self, level: int, rows: list[int], like: Tensor) -> Tensor:
        """The source's latents (rows, c, h', w') of these frames at ``level``, on the device of ``like``."""
        return self.trajectory.at(level)[rows].to(like.device)

    def second_order(self, level: int) -> Tensor | None:
        """SOURCE_SECOND_ORDER times the source's second-order term of the step down from ``level``; None if it has
        none."""
        term = second_order_term(self.trajectory.at, self.schedule, level)
        return None if term is None else SOURCE_SECOND_ORDER * term.to(self.backend.device)

    def _guided(self, corrected: Corrected, outputs: dict[str, Tensor], step: int, level: int) -> Tensor:
        """Guidance over the lanes' outputs; over the noise that they imply if one was not evaluated at the origin."""
        if all(latents is corrected.origin for latents in corrected.lanes.values()):
            return self.guidance.combine(outputs, step, self.schedule.steps)
        if self.schedule.signals[level] == 0:  # x is pure noise, so it does not matter where a lane was evaluated
            return self.guidance.combine(outputs, step, self.schedule.steps)
        noises = {
            name: self.schedule.estimate(corrected.lanes[name], output, level).eps for name, output in outputs.items()
        }
        eps = self.guidance.combine(noises, step, self.schedule.steps)
        return self.schedule.output(corrected.origin, eps, level)


class _Probe:
    """The network calls that a correction may make at one step (see methods.method.Probe)."""

    def __init__(self, denoiser: Denoiser, x: Tensor, moment: Moment, level: int, lanes: tuple[str, ...]) -> None:
        self.lanes, self.words = lanes, denoiser.words
        self.sites: Sequence[Site] = denoiser.backend.sites
        self._denoiser, self._x, self._moment, self._level = denoiser, x, moment, level

    def source(self, frame: int) -> Tensor:
        return self._denoiser.source(self._level, [frame], self._x)

    @contextmanager
    def watched(self, edits: Sequence[Edit], checkpointing: bool = False) -> Iterator["Pass"]:
        backend, moment = self._denoiser.backend, self._moment
        with injected(backend.network, edits) as session, checkpointed(backend.network, checkpointing):

            def ask(lanes: Lanes, latents: Mapping[str, Tensor], words: Mapping[str, Conditioning]) -> None:
                for edit in edits:
                    edit.begin(moment)
                session.look(moment, lanes)
                with suppress(StopForward):
                    backend.predict(lanes.stack(latents), moment.timestep, lanes.spread(words))

            yield ask
