"""One shot after another through a model: encoded, inverted, sampled, decoded; each step is kept and can be resumed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.invert import State, invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.errors import DeviceError
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.injection import injected
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.denoiser import Denoiser
from pnpvideo.methods.method import Method, Trajectory
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.methods.sdedit import SDEdit
from pnpvideo.methods.trajectory import Noised, Walked, shot_noise
from pnpvideo.options import TranslateOptions
from pnpvideo.store import Entry, Store, fingerprint
from pnpvideo.video.drawings import Drawings
from pnpvideo.video.fit import to_working, working_size
from pnpvideo.video.likeness import psnr

FORMAT = 1  # of what the store keeps for a run; a change of the maths that alters results raises it


class Translator:
    """Translates one shot after another with one model, prompt and set of options."""

    def __init__(self, backend: Backend, options: TranslateOptions, prompt: str, store: Store, report: Report) -> None:
        self.backend, self.options, self.store, self.report = backend, options, store, report
        self.schedule = backend.schedule(options.steps)
        self.prompt, self.source_prompt = prompt, options.source_prompt or ""
        self.timings: dict[str, float] = {}
        self.counts = {"shots": 0, "frames": 0, "drawings": 0}
        self._runs: list[str] = []
        self._mark = time.monotonic()
        negative = options.negative
        if negative is None:
            negative = self.source_prompt if options.generate else backend.card.negative
        self.guidance = Guidance(
            scale=backend.card.guidance if options.guidance is None else options.guidance,
            negative=bool(negative),
            empty_share=0.75 if options.generate else 1.0,
        )
        texts = {"source": self.source_prompt, "empty": "", "negative": negative, "positive": prompt}
        for text in sorted(set(texts.values())):
            if lost := backend.truncation(text):
                report(Notice(message=f"the text is longer than the model reads; not read: {lost!r}"))
        self.words = {lane: backend.embed(text) for lane, text in texts.items()}
        self.method: Method = (
            PlugAndPlay(feature_until=options.feature_until, attention_until=options.attention_until)
            if options.method == "pnp"
            else SDEdit(strength=options.strength)
        )
        self.coherence = Coherence(
            kind=options.coherence, every=options.keyframe_every, batch=options.batch, seed=options.seed
        )

    def shot(self, number: int, drawings: Drawings, display: tuple[int, int]) -> np.ndarray:
        """The translated drawings of shot ``number``, (drawings, h, w, 3) uint8 at the working size."""
        frames = drawings.frames
        self.counts["shots"] += 1
        self.counts["frames"] += len(drawings.of)
        self.counts["drawings"] += len(frames)
        size = working_size(*display, self.options.size or self.backend.size, self.backend.multiple)
        pixels = to_working((frame.pixels for frame in frames), size)
        noise = shot_noise(self.backend.latent_shape(*size), self.options.seed, number)
        key = fingerprint(
            FORMAT,
            self.backend.fingerprint,
            self.schedule,
            self.source_prompt,
            str(self._dtype()),
            ("generated", self.options.seed, number, self.guidance.scale, size) if self.options.generate else pixels,
            None if self.method.inverts else noise,
        )
        trajectory = self._trajectory(key, number, pixels, noise)
        x, start = self.method.start(trajectory, self.schedule)
        outside, inside = self.coherence.edits(self.backend.sites, [float(frame.pts_seconds) for frame in frames])
        edits = [*outside, *self.method.edits(self.backend.sites), *inside]
        run = fingerprint(
            FORMAT, key, self.prompt, self.words, self.method, self.coherence, self.guidance, number, self.options.batch
        )
        self._runs.append(run)
        with self.store.entry("run", run) as entry, injected(self.backend.network, edits) as session:
            denoise = Denoiser(
                self.backend,
                session,
                self.schedule,
                self.method,
                self.coherence,
                self.guidance,
                self.words,
                trajectory,
                number,
            )
            x = self._sampled(entry, denoise, x.to(self._device()), start, number, len(frames))
        with self._timed("decode"):
            return self.backend.decode(x)

    def finish(self) -> None:
        """Forget the checkpoints of a run that has reached its output; trajectories stay for the next prompt."""
        for run in self._runs:
            with self.store.entry("run", run) as entry:
                entry.discard()

    def _trajectory(self, key: str, number: int, pixels: np.ndarray, noise: Tensor) -> Trajectory:
        """The source's latents at every level, from the store as far as it has them."""
        device, count = self._device(), len(pixels)
        if not self.method.inverts:
            return Noised(self._encoded(pixels, number), noise.to(device), self.schedule)
        with self.store.entry("trajectory", key) as entry:
            if self.options.generate:
                states = self._generated(entry, noise.to(device), number)
            else:
                states = _resumed(entry, self.schedule.steps)
                if not states:
                    states = [self._encoded(pixels, number)]
                    entry.put(_name(0), {"x": states[0].cpu()})
                elif len(states) > 1:
                    self.report(Notice(message=f"reusing {len(states) - 1} inversion steps from the store"))
                states = [state.to(device) for state in states]
                for state in invert(self._plain(count), states[-1], self.schedule, len(states) - 1):
                    self._keep(entry, state, states, "invert", number, count)
        return Walked(states)

    def _generated(self, entry: Entry, noise: Tensor, number: int) -> list[Tensor]:
        """A guidance picture of our own: the sampling run of the source prompt is its trajectory."""
        device, steps = self._device(), self.schedule.steps
        states: dict[int, Tensor] = {steps: noise}
        for level in range(steps - 1, -1, -1):
            if (stored := entry.get(_name(level))) is None:
                break
            states[level] = stored[0]["x"].to(device)
        guidance = replace(self.guidance, negative=False)
        words = {**self.words, "positive": self.words["source"]}
        coherence = replace(self.coherence, kind="none")
        with injected(self.backend.network, []) as session:
            plain = Denoiser(
                self.backend, session, self.schedule, SDEdit(), coherence, guidance, words, Walked([]), number
            )
            lowest = min(states)
            for state in sample(plain, states[lowest], self.schedule, lowest):
                states[state.level] = state.x
                self._keep(entry, state, None, "invert", number, 1)
        return [states[level] for level in range(steps + 1)]

    def _sampled(
        self, entry: Entry, denoise: Callable[[Tensor, int], Tensor], x: Tensor, level: int, number: int, count: int
    ) -> Tensor:
        """The end of the sampling run, taken up where an interrupted one stopped."""
        saved = entry.get("state")
        if saved is not None:
            x, level = saved[0]["x"].to(self._device()), int(saved[1]["level"])
            self.report(Notice(message=f"resuming shot {number} at step {self.schedule.steps - level}"))
        for state in sample(denoise, x, self.schedule, level):
            self._keep(entry, state, None, "sample", number, count, name="state")
            x = state.x
        return x

    def _keep(
        self,
        entry: Entry,
        state: State,
        states: list[Tensor] | None,
        stage: str,
        number: int,
        count: int,
        name: str | None = None,
    ) -> None:
        """Check a finished step, put it into the store and say so."""
        steps = self.schedule.steps
        done = state.level if states is not None else steps - state.level
        if not bool(torch.isfinite(state.x).all()):
            raise DeviceError(f"the network gave NaN or infinity at {stage} step {done}; try --dtype float32")
        entry.put(name or _name(state.level), {"x": state.x.cpu()}, {"level": state.level})
        if states is not None:
            states.append(state.x)
        now = time.monotonic()
        self.timings[stage] = self.timings.get(stage, 0.0) + now - self._mark
        self._mark = now
        self.report(Progress(stage=stage, done=done, total=steps, unit="step", shot=number, frames=count))

    def _encoded(self, pixels: np.ndarray, number: int) -> Tensor:
        with self._timed("encode"):
            latents = self.backend.encode(pixels)
        card = self.backend.card
        if (
            number == 0
            and card.outside_notice
            and psnr(self.backend.decode(latents[:1]), pixels[:1]) < card.familiar_db
        ):
            self.report(Notice(message=card.outside_notice))
        self.report(Progress(stage="encode", done=len(pixels), total=len(pixels), unit="frame", shot=number))
        return latents

    def _plain(self, count: int) -> Callable[[Tensor, int], Tensor]:
        """The network with the source prompt, frames in batches."""
        words, batch = self.words["source"], self.options.batch

        def predict(x: Tensor, timestep: int) -> Tensor:
            parts = [
                self.backend.predict(part, timestep, words.expand(len(part), *words.shape)) for part in x.split(batch)
            ]
            return torch.cat(parts)

        self._mark = time.monotonic()
        return predict

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._mark = time.monotonic()
        self.timings[stage] = self.timings.get(stage, 0.0) + self._mark - started

    def _device(self) -> torch.device:
        return next(self.backend.network.parameters()).device

    def _dtype(self) -> torch.dtype:
        return next(self.backend.network.parameters()).dtype


def _resumed(entry: Entry, steps: int) -> list[Tensor]:
    """The states from level 0 on that the store holds without a gap."""
    states: list[Tensor] = []
    for level in range(steps + 1):
        stored = entry.get(_name(level))
        if stored is None:
            break
        states.append(stored[0]["x"])
    return states


def _name(level: int) -> str:
    return f"level-{level:04d}"
