"""What a run will take, before it is made: evaluations of the network, memory and disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.footprint import Footprint
from pnpvideo.background import LEVELS
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.edits.token_flow import Correspondences
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.injection import Moment
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.trajectory import Walked
from pnpvideo.options import TranslateOptions
from pnpvideo.resolved import Resolved

GRAPH = {(False, False): 12.2, (True, False): 7.0, (False, True): 4.1, (True, True): 2.3}
"""Of a call that is differentiated, times what a plain one holds, by (checkpointing, maps of few pixels): measured on
Stable Diffusion 1.5's topology (docs/quality.md)."""
BACKWARD = 3
"""Evaluations' worth of time that one with a gradient takes."""


@dataclass(frozen=True)
class Size:
    """One window: its drawings, and the anchors that go along."""

    drawings: int
    anchors: int = 0


@dataclass(frozen=True)
class Work:
    """evaluations: latents that the network is asked about. effort: the same, in the time of plain ones."""

    evaluations: int
    effort: int


@dataclass(frozen=True)
class Estimate:
    """Of runs of ``options`` with ``backend``; ``guidance`` without what a caption would add to the negative prompt."""

    backend: Backend
    options: TranslateOptions

    @property
    def resolved(self) -> Resolved:
        return Resolved.of(self.options, self.backend)

    def work(self, windows: Sequence[Size]) -> Work:
        """Of all windows. What an interrupted run left in the store is not counted off."""
        found = [self._of_window(window, part) for part, window in enumerate(windows)]
        asked = self.backend.card.knows_pictures_at(self.resolved.size, self.backend.size)  # is it familiar?
        once = int(asked and not self.options.generate)
        return Work(once + sum(work.evaluations for work in found), once + sum(work.effort for work in found))

    def _of_window(self, window: Size, part: int) -> Work:
        resolved, options = self.resolved, self.options
        schedule, method = self._schedule, resolved.method(options)
        guidance = resolved.guided(options, self._negative)
        coherence, frames = self._coherence, window.drawings + window.anchors
        sites, times = self.backend.sites, [float(frame) for frame in range(frames)]
        edits = coherence.edits(method.edits(sites), sites, times)
        seen = method.inverts and not options.generate and resolved.solver == "2m"
        evaluations = effort = 0
        if options.generate:
            alone = replace(guidance, negative=False)
            evaluations += sum(len(alone.lanes(step, schedule.steps)) for step in range(schedule.steps))
        elif method.inverts:
            evaluations += schedule.steps * (1 + resolved.inversion_rounds) * window.drawings
        if options.keep_background:
            evaluations += len(LEVELS) * window.drawings
        nothing = torch.zeros(1, 1, 1, 1)
        _, start = method.start(Walked([nothing] * (schedule.steps + 1)), schedule, nothing)
        for level in range(start, 0, -1):
            step = schedule.steps - level
            keyframes = coherence.keyframes(frames, (0, part), step, window.anchors)
            moment = Moment(step, schedule.steps, schedule.timestep(level), keyframes)
            known = seen and level < schedule.steps  # what token flow seeks is found while inverting
            found = [edit for edit in edits if known and isinstance(edit, Correspondences)]
            if any(edit.needs_source(moment, keyframes) for edit in found):
                evaluations += window.anchors * (1 if level > 1 else 2)  # they go along in the inversion
            readers = [edit for edit in edits if edit not in found]
            for chosen in coherence.passes(frames, keyframes):
                evaluations += len(chosen) * any(edit.needs_source(moment, chosen) for edit in readers)
            lanes = len(guidance.lanes(step, schedule.steps))
            evaluations += lanes * frames
            if method.corrects(moment):
                evaluations += 2 * lanes * frames  # the reference, and the call with a gradient
                effort += (BACKWARD - 1) * lanes * frames
        return Work(evaluations, evaluations + effort)

    def memory(self, most: Size, held: Footprint) -> int:
        """Bytes on the device at the most, for the largest window and a model that holds ``held``."""
        resolved, options = self.resolved, self.options
        method, steps = resolved.method(options), resolved.steps
        guidance = resolved.guided(options, self._negative)
        lanes = max(len(guidance.lanes(step, steps)) for step in range(steps))
        frames = most.drawings + most.anchors
        keyframes = len(self._coherence.keyframes(frames, (0, 0), 0, most.anchors))
        together = min(frames, max(options.batch, keyframes))
        reading = keyframes if options.coherence == "flow" else together
        kept = 2 * reading * held.tokens  # the source's q and k, until the edited lanes have passed
        if keyframes:
            each = 2 * lanes if options.coherence == "joint" else lanes + 1
            kept += keyframes * held.tokens * each  # keyframes' k and v; or their outputs, and the source's features
        call = lanes * together * held.call
        moment = Moment(0, steps, 0)
        if method.corrects(moment):
            call = max(call, int(lanes * held.call * GRAPH[options.checkpointing, options.map_pixels is not None]))
        return held.weights + max(call + kept, held.picture)

    def disk(self, drawings: int, shape: tuple[int, int, int]) -> int:
        """Bytes of the store while the run goes on: trajectories, and the state of each window."""
        latent = 4 * shape[0] * shape[1] * shape[2]
        inverts = self.resolved.method(self.options).inverts or self.options.generate
        levels = self._schedule.steps + 1 if inverts else 0
        return drawings * latent * (levels + 2)

    @property
    def _negative(self) -> str:
        return self.backend.card.negative if self.options.negative is None else self.options.negative

    @property
    def _schedule(self) -> Schedule:
        return self.backend.schedule(self.resolved.steps, self.resolved.spacing)

    @property
    def _coherence(self) -> Coherence:
        options = self.options
        return Coherence(kind=options.coherence, every=options.keyframe_every, batch=options.batch, seed=options.seed)


def largest(options: TranslateOptions, frames: int | None) -> Size:
    """The largest window that a clip of so many frames may have; None: not known."""
    most = (3 * options.window) // 2
    if frames is not None and frames <= most:
        return Size(frames)
    return Size(most, 0 if options.coherence == "none" else 3)


def fitted(
    backend: Backend,
    options: TranslateOptions,
    frames: int | None,
    size: tuple[int, int],
    report: Report = ignore,
) -> TranslateOptions:
    """``options`` whose batch and window keep within ``options.memory``, if that is set: a smaller batch first, then a
    smaller window. size: working width and height. Raises OptionError where nothing does."""
    if options.memory is None:
        return options
    held = backend.footprint(*size)
    windows = [options.window]
    while windows[-1] // 2 >= options.keyframe_every:
        windows.append(windows[-1] // 2)
    batches = [options.batch]
    while batches[-1] > 1:
        batches.append(batches[-1] // 2)
    least = 0
    for window in windows:
        for batch in batches:
            tried = replace(options, batch=batch, window=window)
            least = Estimate(backend, tried).memory(largest(tried, frames), held)
            if least <= options.memory:
                if tried != options:
                    room = f"{options.memory / 2**30:.1f} GiB"
                    report(Notice(message=f"to keep within {room}: windows of {window} frames, {batch} a network call"))
                return tried
    raise OptionError(
        f"memory is {options.memory / 2**30:.1f} GiB, and this needs {least / 2**30:.1f} GiB at the least; a smaller "
        "--size, a greater --keyframe-every, --coherence none or, on a GPU, --dtype float16 or bfloat16 needs less"
    )
