"""Estimate network evaluations, memory and disk of a run, by a dry run of its loops without the network."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.footprint import Footprint
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, State
from pnpvideo.diffusion.trajectory import RecordedTrajectory
from pnpvideo.engine.anchors import MOST, Anchors
from pnpvideo.engine.control import effort, load_controls, steered_footprint
from pnpvideo.engine.denoiser import Calls, Denoiser
from pnpvideo.engine.inversion import source_denoiser
from pnpvideo.engine.recorder import SourceRecorder
from pnpvideo.engine.region import LEVELS
from pnpvideo.engine.run import Run, StageShares, Window
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.injection import Conditioning, Moment, Session
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.words.script import Script

GRAPH = {(False, False): 12.2, (True, False): 7.0, (False, True): 4.1, (True, True): 2.3}
"""(gradient checkpointing, map_pixels set) -> memory of a call with a gradient, as a multiple of one without. Measured
on Stable Diffusion 1.5's topology (docs/quality.md)."""
BACKWARD = 3
"""Time of an evaluation with a gradient, as a multiple of one without."""
ENCODING, DECODING = 1, 2
"""Time that the autoencoder takes for a picture, as a multiple of an evaluation; about."""
NO_SCRIPT = Script("", "", "", {"source": Conditioning(torch.zeros(0, 0))})


@dataclass(frozen=True)
class Size:
    """Size of a window: its own drawings, and the anchors evaluated along with them."""

    drawings: int
    anchors: int = 0


@dataclass(frozen=True)
class Work:
    """evaluations: of the network, for one frame in one lane each. effort: their time, in those without gradient."""

    evaluations: int = 0
    effort: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.evaluations + other.evaluations, self.effort + other.effort)


@dataclass(frozen=True)
class Estimate:
    """Estimates for the runs of a ``Run``. The caption's share in the negative prompt is not counted."""

    run: Run

    @classmethod
    def of(cls, backend: Backend, options: Options) -> "Estimate":
        """Of runs of ``options`` with ``backend``. The decoder of unfinished pictures is not loaded for it."""
        runtime = replace(options.runtime, preview_vae=None)
        return cls(Run.of(backend, replace(options, runtime=runtime), Store(), ignore))

    def work(self, windows: Sequence[Size]) -> Work:
        """Work of all windows, with nothing in the store."""
        run, backend = self.run, self.run.backend
        checked = backend.card.knows_pictures_at(run.options.sampling.size or backend.size, backend.size)
        once = Work(1, 1) if checked and not run.options.generate else Work()  # see pictures.warn_if_unfamiliar
        return sum((self._of_window(window, part) for part, window in enumerate(windows)), once)

    def shares(self, size: Size, part: int) -> StageShares:
        """How the work of the window of this size, the ``part``-th of its shot, is shared among its stages."""
        source, masking, steps = self._by_stage(size, part)
        work = {
            "encode": 0 if self.run.options.generate else size.drawings * ENCODING,
            "invert": source,
            "mask": masking,
            "sample": sum(step.effort for step in steps),
            "decode": size.drawings * DECODING,
        }
        return StageShares(work, self.run.schedule.steps - len(steps))

    def _of_window(self, size: Size, part: int) -> Work:
        source, masking, steps = self._by_stage(size, part)
        return sum(steps, Work(source + masking, source + masking))

    def _by_stage(self, size: Size, part: int) -> tuple[int, int, list[Work]]:
        """Evaluations for the trajectory and for the mask of a word, and the work of each step of sampling."""
        run, options = self.run, self.run.options
        window = _blank_window(run, size, part)
        edits = options.coherence.edits(options.method.edits(run.backend.sites), run.backend.sites, self._times(size))
        recorder = SourceRecorder.of(run, window, edits)
        masking = len(LEVELS) * size.drawings if options.region.keep_background else 0
        denoiser = Denoiser.of(run, window, Session(edits), RecordedTrajectory([]))
        source = sum(self._of_source(window, size, recorder))
        return source, masking, [_of_step(run, calls) for calls in _steps(run, denoiser, size.drawings + size.anchors)]

    def _of_source(self, window: Window, size: Size, recorder: SourceRecorder | None) -> Iterator[int]:
        """Evaluations of each network call that produces the source's trajectory."""
        run, options, schedule = self.run, self.run.options, self.run.schedule
        if options.generate:
            denoiser = source_denoiser(run, window, Session([]))
            for calls in _steps(run, denoiser, 1, schedule.steps):
                yield _of_step(run, calls).evaluations
        elif options.method.inverts:
            levels: list[float] = []

            def predict(x: Tensor, level: float) -> Tensor:
                levels.append(level)
                return torch.zeros_like(x)

            rounds = options.sampling.inversion_rounds or 0
            for _ in invert(predict, State(_tiny(size.drawings), 0), schedule, run.solver, rounds):
                pass
            for level in levels:
                anchors = 0
                if recorder is not None and recorder.calls(level) is not None:
                    anchors = size.anchors  # evaluated too, so that their correspondences are recorded
                    for edit in recorder.edits:
                        edit.begin(recorder.moment(int(level)))
                        edit.keep(recorder.moment(int(level)))
                yield size.drawings + anchors

    def memory(self, most: Size, held: Footprint) -> int:
        """Peak bytes on the device. most: the largest window. held: memory of the model and of its calls."""
        run, options = self.run, self.run.options
        method, steps = options.method, run.schedule.steps
        guidance = run.guidance(bool(options.prompts.negative))
        lanes = max(len(guidance.lanes(step, steps)) for step in range(steps))
        frames = most.drawings + most.anchors
        keyframes = len(options.coherence.keyframes(frames, run.place(0, 0), 0, most.anchors))
        together = min(frames, max(options.runtime.batch, keyframes))
        tokens = held.tokens * options.coherence.tokens_held(keyframes, together, lanes)
        call = lanes * together * held.call
        if method.corrects(Moment(0, steps, 0)):
            call = max(call, int(lanes * held.call * _graph(method)))
        return held.weights + max(call + tokens, held.picture)

    def disk(self, drawings: int, shape: tuple[int, int, int]) -> int:
        """Bytes in the store during the run: trajectories and window states. shape: of one latent, (c, h', w')."""
        latent = 4 * shape[0] * shape[1] * shape[2]
        inverts = self.run.options.method.inverts or self.run.options.generate
        levels = self.run.schedule.steps + 1 if inverts else 0
        return drawings * latent * (levels + 2)

    @staticmethod
    def _times(size: Size) -> list[float]:
        return [float(frame) for frame in range(size.anchors + size.drawings)]


def _graph(method: object) -> float:
    """Memory of a call with a gradient, as a multiple of one without, for a method's correction (see GRAPH)."""
    return GRAPH[bool(getattr(method, "checkpointing", False)), getattr(method, "map_pixels", None) is not None]


def _tiny(frames: int) -> Tensor:
    """Zero latents (f, 1, 1, 1), enough for the loops of a dry run."""
    return torch.zeros(frames, 1, 1, 1)


def _blank_window(run: Run, size: Size, part: int) -> Window:
    times = tuple(float(size.anchors + frame) for frame in range(size.drawings))
    anchors = Anchors(times=tuple(float(frame) for frame in range(size.anchors)))
    return Window(
        place=run.place(0, part),
        pixels=np.zeros((size.drawings, 1, 1, 3), np.uint8),
        times=times,
        script=NO_SCRIPT,
        guidance=run.guidance(bool(run.options.prompts.negative)),
        noise=_tiny(1),
        anchors=anchors,
    )


def _steps(run: Run, denoiser: Denoiser, frames: int, start: int | None = None) -> Iterator[Calls]:
    """The network calls of each step of a sampling run. start: its first level; None: that of the method."""
    schedule, calls = run.schedule, []
    if start is None:
        nothing = RecordedTrajectory([_tiny(frames)] * (schedule.steps + 1))
        _, start = run.options.method.start(nothing, schedule, _tiny(1))

    def denoise(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        calls.append(denoiser.calls(frames, level))
        return x, torch.zeros_like(x)

    for _ in sample(denoise, State(_tiny(frames), start), schedule, DDIM()):
        yield calls[-1]


def _of_step(run: Run, calls: Calls) -> Work:
    frames = sum(len(chosen) for chosen, _ in calls.passes)
    lanes = len(calls.lanes)
    source = len(run.options.method.source_lanes) * frames
    count = lanes * frames + (source or sum(len(chosen) for chosen, last in calls.passes if last is not None))
    steered = math.ceil(effort(run.controls, calls.moment.step, calls.moment.steps) * lanes * frames)
    if run.options.method.corrects(calls.moment):  # one call for the reference maps, one with a gradient
        return Work(count + 2 * lanes * frames, count + steered + (1 + BACKWARD) * lanes * frames)
    return Work(count, count + steered)


def largest(options: Options, frames: int | None) -> Size:
    """The largest window that a clip of ``frames`` frames may have; None: of unknown length."""
    most = (3 * options.runtime.window) // 2  # a shot is cut only beyond this (video.shots.shots)
    if frames is not None and frames <= most:
        return Size(frames)
    return Size(most, MOST if options.coherence.anchored else 0)


def fit_memory(
    backend: Backend,
    options: Options,
    frames: int | None,
    size: tuple[int, int],
    report: Report = ignore,
) -> Options:
    """``options`` with ``batch`` and ``window`` halved until the estimate keeps within ``memory``, if that is set.

    The batch is halved first, then the window. frames: of the input; None: unknown. size: working (width, height).
    Raises OptionError if not even the smallest fit.
    """
    runtime = options.runtime
    if runtime.memory is None:
        return options
    footprint = steered_footprint(backend, load_controls(backend, options.control), size)
    every = getattr(options.coherence, "keyframe_every", 1)
    windows, batches = [runtime.window], [runtime.batch]
    while windows[-1] // 2 >= every:
        windows.append(windows[-1] // 2)
    while batches[-1] > 1:
        batches.append(batches[-1] // 2)
    least = 0
    for window in windows:
        for batch in batches:
            tried = replace(options, runtime=replace(runtime, batch=batch, window=window))
            least = Estimate.of(backend, tried).memory(largest(tried, frames), footprint)
            if least <= runtime.memory:
                if tried != options:
                    limit = f"{runtime.memory / 2**30:.1f} GiB"
                    report(
                        Notice(message=f"to keep within {limit}: windows of {window} frames, {batch} a network call")
                    )
                return tried
    raise OptionError(
        f"memory is {runtime.memory / 2**30:.1f} GiB, and this needs {least / 2**30:.1f} GiB at the least; a smaller "
        "--size, a greater --keyframe-every, --coherence none or, on a GPU, --dtype float16 or bfloat16 needs less"
    )
