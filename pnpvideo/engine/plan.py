"""Plan a translation before it starts: shots, drawings, evaluations, time, memory, disk."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.engine.anchors import remembered_drawings, remembered_windows
from pnpvideo.engine.control import brought_conditions, steered_footprint
from pnpvideo.engine.estimate import Estimate, Size, fit_memory
from pnpvideo.engine.memory import memory_errors
from pnpvideo.events import Progress, Report, ignore
from pnpvideo.settings.options import Options
from pnpvideo.video.clip import Clip
from pnpvideo.video.conditions import Conditions
from pnpvideo.video.drawings import Drawings, find_held_drawings
from pnpvideo.video.pixels import working_size
from pnpvideo.video.shots import shots

SLOW_SECONDS = 5.0
"""A call that takes longer is not made a second time to be timed."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a translation will take.

    shots, windows, frames, drawings: counts of the input; a drawing is one distinct frame. width, height: working size
    in pixels. batch: frames per network call. window: frames of a long shot that are translated together. evaluations:
    of the network, one frame in one lane each, at most. seconds: from a few timed calls. memory_bytes: peak on the
    device. disk_bytes: in the store during the run.
    """

    shots: int
    windows: int
    frames: int
    drawings: int
    width: int
    height: int
    device: str
    dtype: str
    steps: int
    batch: int
    window: int
    evaluations: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


def plan(
    input: Path | str, options: Options | None = None, *, backend: Backend | None = None, report: Report = ignore
) -> Plan:
    """Estimate what translating ``input`` with ``options`` takes on this machine, with nothing in the store.

    Reads the input once and times a few network calls. The prompt makes no difference. Raises as ``translate`` does.
    """
    options = options or Options()
    report(Progress(stage="read", done=0, total=0, unit="frame"))
    clip = options.reading.open(input, report)
    report(Progress(stage="load", done=0, total=1, unit="model"))
    backend = backend or load(options.model, options.runtime, report, options.customization)
    report(Progress(stage="load", done=1, total=1, unit="model"))
    size = working_size(clip.info.width, clip.info.height, options.sampling.size or backend.size, backend.multiple)
    options = fit_memory(backend, options, clip.info.frames, size, report)
    estimate = Estimate.of(backend, options)
    conditions = brought_conditions(options.control, clip, options.reading.frames, size, report)
    windows = list(_windows(clip, options, conditions, report))
    held = steered_footprint(backend, estimate.run.controls, size)
    sizes = [window.size for window in windows]
    work = estimate.work(sizes)
    drawings = sum(size.drawings for size in sizes)
    batch = options.runtime.batch
    with backend.busy, memory_errors():
        evaluation_seconds, picture_seconds = timed(backend, size, batch)
    return Plan(
        shots=len({window.shot for window in windows}),
        windows=len(windows),
        frames=sum(window.frames for window in windows),
        drawings=drawings,
        width=size[0],
        height=size[1],
        device=str(backend.device),
        dtype=str(backend.dtype).removeprefix("torch."),
        steps=estimate.run.schedule.steps,
        batch=batch,
        window=options.runtime.window,
        evaluations=work.evaluations,
        seconds=work.effort * evaluation_seconds + drawings * picture_seconds,
        memory_bytes=estimate.memory(max(sizes, key=lambda one: one.drawings + one.anchors), held),
        disk_bytes=estimate.disk(drawings, backend.latent_shape(*size)),
    )


@dataclass(frozen=True)
class _Window:
    """shot: index of its shot. frames: of the input, repeated ones included."""

    shot: int
    frames: int
    size: Size


def _windows(clip: Clip, options: Options, conditions: Conditions | None, report: Report) -> Iterator[_Window]:
    """The windows that the engine will translate, each with its number of anchors."""
    last_drawing: Drawings | None = None
    anchors: list[int] = []  # left by the shot's first window and by its latest
    seen = 0
    for shot in shots(clip.frames(), options.runtime.window):
        brought = None if conditions is None else conditions.take(len(shot.frames))
        drawings = find_held_drawings(shot, None, last_drawing, brought)
        own = len(drawings.frames) - drawings.carries_over
        seen += len(shot.frames)
        report(Progress(stage="read", done=seen, total=clip.info.frames or 0, unit="frame"))
        if shot.part == 0:
            anchors = []
        yield _Window(shot.index, len(shot.frames), Size(own, sum(anchors)))
        if shot.more and own and options.coherence.anchored:
            anchors = remembered_windows(anchors, len(remembered_drawings(not anchors, own)))
        last_drawing = drawings.last()
        del shot, drawings, brought


def timed(backend: Backend, size: tuple[int, int], batch: int) -> tuple[float, float]:
    """Seconds of one evaluation, in a call of ``batch`` frames, and of encoding and decoding one picture.

    size: (width, height). Each call is made once to warm up, with one frame, and then counts. Where the first one takes
    longer than SLOW_SECONDS, it counts itself.
    """
    words, shape = backend.embed(""), backend.latent_shape(*size)
    picture = np.zeros((1, size[1], size[0], 3), np.uint8)

    def seconds(call: Callable[[], object]) -> float:
        started = time.perf_counter()
        with torch.no_grad():
            call()
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)
        return time.perf_counter() - started

    def evaluation(frames: int) -> float:
        x = torch.zeros((frames, *shape), device=backend.device)
        return seconds(lambda: backend.predict(x, 1, words.batch(frames))) / frames

    def both() -> float:
        return seconds(lambda: backend.decode(backend.encode(picture)))

    first = evaluation(1)
    per_evaluation = first if first > SLOW_SECONDS else evaluation(batch)
    first = both()
    return per_evaluation, first if first > SLOW_SECONDS else both()
