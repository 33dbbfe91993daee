"""Plan a translation before it is begun: shots, drawings, evaluations, time, memory, disk."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.engine.anchors import remembered_drawings, remembered_windows
from pnpvideo.engine.estimate import Estimate, Size, fit_memory
from pnpvideo.engine.memory import memory_errors
from pnpvideo.events import Progress, Report, ignore
from pnpvideo.settings.options import Options
from pnpvideo.video.clip import Clip
from pnpvideo.video.drawings import Drawings, find_held_drawings
from pnpvideo.video.pixels import working_size
from pnpvideo.video.read import read
from pnpvideo.video.shots import shots


@dataclass(frozen=True, kw_only=True)
class Plan:
    """shots, windows, frames, drawings: of the input. width, height: working size in pixels. batch: frames a network
    call; window: frames that are translated together. evaluations: latents that the network is asked about, at the
    most. seconds: from a few calls that were timed. memory_bytes: on the device at the most. disk_bytes: of the store
    while the run goes on."""

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
    """What ``translate`` would take for ``input`` with ``options``, on this machine, with nothing in the store.

    Reads the input once and times a few network calls. The prompt makes no difference. Raises as ``translate`` does.
    """
    options = options or Options()
    reading = options.reading
    report(Progress(stage="read", done=0, total=0, unit="frame"))
    clip = read(
        input,
        span=reading.frames,
        decoder=reading.decoder,
        track=reading.track,
        allow_partial=reading.allow_partial,
        report=report,
    )
    report(Progress(stage="load", done=0, total=1, unit="model"))
    backend = backend or load(options.model, options.runtime)
    report(Progress(stage="load", done=1, total=1, unit="model"))
    size = working_size(clip.info.width, clip.info.height, options.sampling.size or backend.size, backend.multiple)
    options = fit_memory(backend, options, clip.info.frames, size, report)
    estimate = Estimate.of(backend, options)
    windows = list(_windows(clip, options, report))
    sizes = [window.size for window in windows]
    work = estimate.work(sizes)
    drawings = sum(size.drawings for size in sizes)
    batch = options.runtime.batch
    with backend.busy, memory_errors():
        an_evaluation, a_picture = timed(backend, size, batch)
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
        seconds=work.effort * an_evaluation + drawings * a_picture,
        memory_bytes=estimate.memory(max(sizes, key=lambda one: one.drawings + one.anchors), backend.footprint(*size)),
        disk_bytes=estimate.disk(drawings, backend.latent_shape(*size)),
    )


@dataclass(frozen=True)
class _Window:
    """shot: its index. frames: of the input."""

    shot: int
    frames: int
    size: Size


def _windows(clip: Clip, options: Options, report: Report) -> Iterator[_Window]:
    """The windows that the engine will make, with the anchors of each."""
    before: Drawings | None = None
    anchored: list[int] = []
    seen = 0
    for shot in shots(clip.frames(), options.runtime.window):
        drawings = find_held_drawings(shot, None, before)
        own = len(drawings.frames) - drawings.carries_over
        seen += len(shot.frames)
        report(Progress(stage="read", done=seen, total=clip.info.frames or 0, unit="frame"))
        if shot.part == 0:
            anchored = []
        yield _Window(shot.index, len(shot.frames), Size(own, sum(anchored)))
        if shot.more and own and options.coherence.anchored:
            anchored = remembered_windows(anchored, len(remembered_drawings(not anchored, own)))
        before = drawings.last()
        del shot, drawings


def timed(backend: Backend, size: tuple[int, int], batch: int) -> tuple[float, float]:
    """Seconds of one evaluation, in calls of ``batch``, and of encoding and decoding one picture; the second try of
    each, for the first one makes ready."""
    x = torch.zeros((batch, *backend.latent_shape(*size)), device=backend.device)
    words = backend.embed("").batch(batch)
    picture = np.zeros((1, size[1], size[0], 3), np.uint8)
    found = []
    for call in (lambda: backend.predict(x, 1, words), lambda: backend.decode(backend.encode(picture))):
        for _ in range(2):
            if backend.device.type == "cuda":
                torch.cuda.synchronize(backend.device)
            started = time.perf_counter()
            with torch.no_grad():
                call()
            if backend.device.type == "cuda":
                torch.cuda.synchronize(backend.device)
            seconds = time.perf_counter() - started
        found.append(seconds)
    return found[0] / batch, found[1]
