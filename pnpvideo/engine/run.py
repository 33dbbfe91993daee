"""The engine's two inputs: Run, which all windows share, and Window, the data of one."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.joint_limits import check_without_cross_attention
from pnpvideo.backends.tiny_autoencoder import TinyDecoder
from pnpvideo.coherence.coherence import Place
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import SOLVERS, Solver, State
from pnpvideo.engine.anchors import NO_ANCHORS, Anchors
from pnpvideo.engine.control import Conditions, LoadedControl, load_controls
from pnpvideo.engine.memory import CallGuard
from pnpvideo.errors import NotFiniteError
from pnpvideo.events import Progress, Report
from pnpvideo.injection import Kind
from pnpvideo.settings.effective import effective
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.words.script import Script


@dataclass(frozen=True)
class Run:
    """A model and the options it runs with, all resolved (see settings.effective).

    guard: retries network calls that fail. controls: ControlNets that steer the result. timings: stage -> seconds so
    far; the engine adds to them. beginnings: the states that runs share which begin alike; None: not to be shared.
    quick: decodes the pictures of unfinished results; None: the model does. rough: whether it decodes results too.
    """

    backend: Backend
    options: Options
    schedule: Schedule
    guard: CallGuard
    store: Store
    report: Report
    controls: tuple[LoadedControl, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    beginnings: dict[str, State] | None = None
    quick: TinyDecoder | None = None
    rough: bool = False

    @classmethod
    def of(cls, backend: Backend, options: Options, store: Store, report: Report) -> "Run":
        """Resolve the user's ``options`` and build a run.

        Raises OptionError if they contradict each other, and ModelError if they ask for what the model cannot do.
        """
        resolved = effective(options, backend)
        if not any(site.kind is Kind.CROSS for site in backend.sites):
            check_without_cross_attention("the model", resolved)
        assert resolved.sampling.steps is not None and resolved.sampling.spacing is not None
        schedule = backend.schedule(resolved.sampling.steps, resolved.sampling.spacing)
        schedule = schedule if resolved.generate else resolved.method.levels(schedule)
        guard, controls = CallGuard(backend, resolved.runtime.batch, report), load_controls(backend, resolved.control)
        quick, path = None, resolved.runtime.preview_vae
        if path is not None:
            quick = TinyDecoder(path, backend.latent_shape(64, 64)[0], backend.device)
        return cls(backend, resolved, schedule, guard, store, report, controls, quick=quick)

    @property
    def device(self) -> torch.device:
        return self.backend.device

    @property
    def solver(self) -> Solver:
        assert self.options.sampling.solver is not None
        return SOLVERS[self.options.sampling.solver]

    def guidance(self, negative: bool) -> Guidance:
        """Classifier-free guidance as the options set it. negative: whether there is a negative prompt."""
        sampling = self.options.sampling
        assert sampling.guidance is not None
        return Guidance(
            scale=sampling.guidance,
            negative=negative,
            empty_share=self.options.method.empty_share(self.options.generate),
            span=sampling.guidance_span,
        )

    def place(self, shot: int, window: int) -> Place:
        """The seed and position that a window's random keyframes are drawn from; indices count from 0."""
        return Place(self.options.sampling.seed, shot, window)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of the block to those of ``stage``."""
        started = time.monotonic()
        yield
        self.timings[stage] = self.timings.get(stage, 0.0) + time.monotonic() - started


@dataclass(frozen=True)
class StageShares:
    """How the work of a window is shared among its stages, as estimated beforehand.

    work: stage -> its work, in evaluations of the network, in the order of the stages. skipped: steps at the beginning
    of "sample" that the method leaves out.
    """

    work: Mapping[str, float] = field(default_factory=dict)
    skipped: int = 0

    def done(self, stage: str, done: int, total: int) -> float:
        """The share of the window's work that is finished, 0 to 1, with ``done`` of ``total`` units of a stage."""
        skipped = self.skipped if stage == "sample" else 0
        finished, names = 0.0, list(self.work)
        for name in names[: names.index(stage) if stage in names else 0]:
            finished += self.work[name]
        finished += self.work.get(stage, 0.0) * max(0, done - skipped) / max(1, total - skipped)
        return finished / max(1.0, sum(self.work.values()))


@dataclass(frozen=True)
class Position:
    """Where in the clip a window lies, for progress.

    before: frames of the clip before it. frames: its own, held ones too. of_frames: of the whole clip, 0 where that is
    not known. shots: of the clip, 0 while that is not known.
    """

    before: int = 0
    frames: int = 0
    of_frames: int = 0
    shots: int = 0

    def overall(self, share: float) -> float | None:
        """The share of the clip that is done, with this share of the window; None where that is not known."""
        return min(1.0, (self.before + share * self.frames) / self.of_frames) if self.of_frames else None


@dataclass(frozen=True)
class Window:
    """A shot, or a part of a long one, that is translated together.

    place: the run's seed and the indices of shot and window. pixels: the drawings (f, h, w, 3) uint8 at the working
    size; a drawing is one distinct frame. times: of the drawings, in seconds. script: the prompts and their embeddings.
    noise: (1, c, h', w') fp32, the same for the whole shot. anchors: drawings of earlier windows to attend to. masks:
    one (h, w) uint8 of any size for each drawing, white where it may change; None: everywhere. tokens: positions in the
    source prompt of the word whose region may change; None: everything may. conditions: of each of the run's controls,
    what it follows in each drawing. more: whether another window of the shot follows. position, shares: for the share
    of the whole run in ``progress``.
    """

    place: Place
    pixels: np.ndarray
    times: tuple[float, ...]
    script: Script
    guidance: Guidance
    noise: Tensor
    anchors: Anchors = NO_ANCHORS
    masks: Sequence[np.ndarray] | None = None
    tokens: tuple[int, ...] | None = None
    conditions: Conditions = ()
    more: bool = False
    position: Position = Position()
    shares: StageShares = StageShares()

    def stream(self, number: int) -> Tensor:
        """Noise (1, c, h', w') of the shot, independent for each ``number``: 0 is ``noise`` itself, 1 what
        ``Method.start`` gets; methods may use 2 and up."""
        if number == 0:
            return self.noise
        return shot_noise(self.noise.shape[1:], self.place.seed, self.place.shot, stream=number)

    @contextmanager
    def located(self, stage: str, step: int, steps: int) -> Iterator[None]:
        """Add the stage, the step (from 1) and the shot to the message of a NotFiniteError in the block."""
        try:
            yield
        except NotFiniteError as failed:
            where = f"{stage}, step {step} of {steps}, shot {self.place.shot + 1}"
            raise NotFiniteError(f"{where}: {failed}") from failed

    def progress(self, stage: str, done: int, total: int, unit: str) -> Progress:
        """The event that ``done`` of ``total`` units of a stage are finished in this window."""
        return Progress(
            stage=stage,
            done=done,
            total=total,
            unit=unit,
            shot=self.place.shot + 1,
            window=self.place.window + 1,
            frames=len(self.times),
            shots=self.position.shots,
            overall=self.position.overall(self.shares.done(stage, done, total)),
        )
