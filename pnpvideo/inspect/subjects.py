"""The pictures to look into: chosen frames of clips and stills, captioned and inverted by the engine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.engine.control import conditions_of
from pnpvideo.engine.inversion import source_trajectory
from pnpvideo.engine.keys import source_key
from pnpvideo.engine.memory import memory_errors
from pnpvideo.engine.run import Run, Window
from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.events import Report
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Clip, Frame
from pnpvideo.video.pixels import to_working, working_size
from pnpvideo.video.shots import shots
from pnpvideo.words.script import ScriptWriter

Choose = Callable[[Clip], list[Frame]]
"""Choose the frames of a clip to look into."""
USUAL_PICTURES = 3
"""Pictures of a clip that is the only input; of several inputs, one each."""


@dataclass(frozen=True, eq=False)
class Subject:
    """Pictures of one input. frames: their numbers in it. trajectory: their latents at every level, by inversion."""

    name: str
    frames: tuple[int, ...]
    window: Window
    trajectory: Trajectory

    @property
    def pixels(self) -> np.ndarray:
        """(pictures, h, w, 3) uint8 at the working size."""
        return self.window.pixels

    @property
    def grid(self) -> tuple[int, int]:
        """(h', w') of the latents."""
        height, width = self.window.noise.shape[-2:]
        return height, width

    def facts(self) -> dict[str, object]:
        size, script = [self.pixels.shape[2], self.pixels.shape[1]], self.window.script
        return {"input": self.name, "frames": list(self.frames), "size": size, "source_prompt": script.source}


def new_run(options: Options, backend: Backend | None, report: Report, edits: bool = False) -> Run:
    """A run with the user's ``options``, of all noise levels, or, if it ``edits``, of those that its method samples.

    backend: a loaded model; None: load the options' model.
    """
    backend = backend or load(options.model, options.runtime, report, options.customization)
    run = Run.of(backend, options, Store(options.runtime.store, report=report), report)
    steps, spacing = run.options.sampling.steps, run.options.sampling.spacing
    assert steps is not None and spacing is not None
    return run if edits else replace(run, schedule=backend.schedule(steps, spacing))


@contextmanager
def network_in_use(backend: Backend) -> Iterator[None]:
    """Hold the network, without gradients, and turn exhausted memory into a DeviceError."""
    with memory_errors(), torch.no_grad(), backend.busy:
        yield


def subjects(run: Run, inputs: Sequence[Path | str], choose: Choose, prompt: str | None = "") -> list[Subject]:
    """Read, caption and invert each input. Inversions come from the store where it has them.

    prompt: of an edit; None if the options state a change. Raises InputError and what the engine raises.
    """
    if not inputs:
        raise InputError("no input was given; name a clip or a still")
    writer = ScriptWriter(run.backend, run.options, prompt, run.store, run.report)
    return [_subject(run, Path(path), choose, writer) for path in inputs]


def _subject(run: Run, path: Path, choose: Choose, writer: ScriptWriter) -> Subject:
    sampling = run.options.sampling
    clip = run.options.reading.open(path, run.report)
    frames = choose(clip)
    if not frames:
        raise InputError(f"{printable(str(path))} has fewer frames than it states; name those to take: --at 0")
    size = working_size(clip.info.width, clip.info.height, sampling.size or run.backend.size, run.backend.multiple)
    pixels = to_working((frame.pixels for frame in frames), size)
    script = writer.write(lambda: pixels[len(pixels) // 2])
    window = Window(
        place=run.place(0, 0),
        pixels=pixels,
        times=tuple(float(frame.pts_seconds) for frame in frames),
        script=script,
        guidance=run.guidance(bool(script.negative)),
        noise=shot_noise(run.backend.latent_shape(*size), sampling.seed, 0),
        conditions=conditions_of(run.controls, pixels),
    )
    about = {"clip": path.name, "model": run.options.model, "size": f"{size[0]} x {size[1]}"}
    listed = replace(run, store=Store(run.store.root, report=run.report, about=about))
    trajectory, _ = source_trajectory(listed, window, None, source_key(run, window))
    return Subject(path.name, tuple(frame.index for frame in frames), window, trajectory)


def some_frames(pictures: int | None, at: Sequence[int], inputs: int) -> Choose:
    """Choose the frames numbered ``at``, or else ``pictures`` evenly spaced ones (None: see USUAL_PICTURES)."""
    count = pictures or (USUAL_PICTURES if inputs == 1 else 1)

    def choose(clip: Clip) -> list[Frame]:
        if at:
            frames = {frame.index: frame for frame in clip.frames() if frame.index in at}
            if missing := sorted(set(at) - set(frames)):
                name = printable(str(clip.info.path))
                raise OptionError(f"there is no frame {missing[0]} in {name}, or in its --frames; they count from 0")
            return [frames[number] for number in sorted(set(at))]
        total = clip.info.frames or sum(1 for _ in clip.frames())
        wanted = {int((place + 0.5) * total / count) for place in range(count)}
        return [frame for number, frame in enumerate(clip.frames()) if number in wanted]

    return choose


def first_frames(count: int, least: int = 1) -> Choose:
    """Choose the first ``count`` frames of the first shot. Raises InputError if there are fewer than ``least``."""

    def choose(clip: Clip) -> list[Frame]:
        frames = list(next(shots(clip.frames(), count)).frames[:count])
        if len(frames) < least:
            name = printable(str(clip.info.path))
            raise InputError(
                f"{name} has {len(frames)} frames before its first cut or end; at least {least} are needed"
            )
        return frames

    return choose
