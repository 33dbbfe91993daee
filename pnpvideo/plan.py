"""What a translation will take, said beforehand: shots, drawings, evaluations, time, memory, disk."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.estimate import Estimate, Size, fitted
from pnpvideo.events import Progress, Report, ignore
from pnpvideo.memory import memory_errors
from pnpvideo.options import TranslateOptions
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


def plan(input: Path | str, options: TranslateOptions | None = None, *, report: Report = ignore) -> Plan:
    """What ``translate`` would take for ``input`` with ``options``, on this machine, with nothing in the store.

    Reads the input once and asks the network a few times. A prompt changes nothing of it. Raises as ``translate`` does.
    """
    options = options or TranslateOptions()
    clip = read(
        input,
        span=options.frames,
        decoder=options.decoder,
        track=options.track,
        allow_partial=options.allow_partial,
        report=report,
    )
    backend = StableDiffusion.of(options)
    report(Progress(stage="load", done=1, total=1, unit="model"))
    size = working_size(clip.info.width, clip.info.height, options.size or backend.size, backend.multiple)
    options = fitted(backend, options, clip.info.frames, size, report)
    estimate = Estimate(backend, options)
    windows = list(_windows(clip, options, report))
    work = estimate.work([Size(drawn, anchors) for _, _, drawn, anchors in windows])
    most = max((Size(drawn, anchors) for _, _, drawn, anchors in windows), key=lambda one: one.drawings + one.anchors)
    drawings = sum(drawn for _, _, drawn, _ in windows)
    with memory_errors():
        an_evaluation, a_picture = timed(backend, size, options.batch)
    return Plan(
        shots=len({shot for shot, *_ in windows}),
        windows=len(windows),
        frames=sum(frames for _, frames, _, _ in windows),
        drawings=drawings,
        width=size[0],
        height=size[1],
        device=str(backend.device),
        dtype=str(backend.dtype).removeprefix("torch."),
        steps=estimate.resolved.steps,
        batch=options.batch,
        window=options.window,
        evaluations=work.evaluations,
        seconds=work.effort * an_evaluation + drawings * a_picture,
        memory_bytes=estimate.memory(most, backend.footprint(*size)),
        disk_bytes=estimate.disk(drawings, backend.latent_shape(*size)),
    )


def _windows(clip: Clip, options: TranslateOptions, report: Report) -> Iterator[tuple[int, int, int, int]]:
    """Of each window: its shot, its frames, its own drawings and the anchors that go along with them."""
    before: Drawings | None = None
    kept = first = seen = 0
    for shot in shots(clip.frames(), options.window):
        drawings = find_held_drawings(shot, None, before)
        own = len(drawings.frames) - drawings.carries_over
        seen += len(shot.frames)
        report(Progress(stage="read", done=seen, total=clip.info.frames or 0, unit="frame"))
        if shot.part == 0:
            kept = first = 0
        yield shot.index, len(shot.frames), own, kept
        if shot.more and own and options.coherence != "none":
            first, kept = (min(own, 2),) * 2 if kept == 0 else (first, first + 1)
        before = drawings.last()
        del shot, drawings


def timed(backend: Backend, size: tuple[int, int], batch: int) -> tuple[float, float]:
    """Seconds of one evaluation, in calls of ``batch``, and of encoding and decoding one picture; the second try of
    each, for the first one makes ready."""
    x = torch.zeros((batch, *backend.latent_shape(*size)), device=backend.device)
    words = backend.embed("").expand(batch, -1, -1)
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
