"""One shot after another through a model: encoded, inverted, sampled, decoded; each step is kept and can be resumed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.ddim import clean_and_noise
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.invert import State, invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.errors import DeviceError, StoreError
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

Number = TypeVar("Number", int, float)
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
        negative = negative.replace("{source}", self.source_prompt)
        self.guidance = Guidance(
            scale=chosen(options.guidance, backend.card.guidance),
            negative=bool(negative),
            empty_share=0.75 if options.generate else 1.0,
        )
        self.settings: dict[str, Any] = {
            "device": str(self._device()),
            "dtype": str(self._dtype()).removeprefix("torch."),
            "guidance": self.guidance.scale,
            "negative": negative,
            "feature_until": chosen(options.feature_until, backend.card.feature_until),
            "attention_until": chosen(options.attention_until, backend.card.attention_until),
            "fresh_noise": chosen(options.fresh_noise, backend.card.fresh_noise),
            "inversion_rounds": chosen(options.inversion_rounds, backend.card.inversion_rounds),
            "size": options.size or backend.size,
        }
        texts = {"source": self.source_prompt, "empty": "", "negative": negative, "positive": prompt}
        for text in sorted(set(texts.values())):
            if lost := backend.truncation(text):
                report(Notice(message=f"the text is longer than the model reads; not read: {lost!r}"))
        self.words = {lane: backend.embed(text) for lane, text in texts.items()}
        self.method: Method = (
            PlugAndPlay(
                feature_until=chosen(options.feature_until, backend.card.feature_until),
                attention_until=chosen(options.attention_until, backend.card.attention_until),
                fresh_noise=chosen(options.fresh_noise, backend.card.fresh_noise),
            )
            if options.method == "pnp"
            else SDEdit(strength=options.strength)
        )
        self.coherence = Coherence(
            kind=options.coherence, every=options.keyframe_every, batch=options.batch, seed=options.seed
        )

    def shot(self, number: int, drawings: Drawings, display: tuple[int, int]) -> np.ndarray:
        """The translated drawings of shot ``number``, (drawings, h, w, 3) uint8 at the working size.

        Raises DeviceError if memory runs out or the network gives NaN; finished steps are kept.
        """
        with _memory_told():
            return self._shot(number, drawings, display)

    def _shot(self, number: int, drawings: Drawings, display: tuple[int, int]) -> np.ndarray:
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
            noise if not self.method.inverts and not self.options.generate else None,
            self.settings["inversion_rounds"] if self.method.inverts and not self.options.generate else None,
        )
        trajectory = self._trajectory(key, number, pixels, noise)
        times = [float(frame.pts_seconds) for frame in frames]
        run = fingerprint(
            FORMAT, key, self.prompt, self.words, self.method, self.coherence, self.guidance, number, times
        )
        self._runs.append(run)
        fresh = shot_noise(
            noise.shape[1:], self.options.seed, number, stream=1
        )  # a generated start is ``noise`` itself
        x = self._translated(run, trajectory, fresh, number, times)
        return self._decoded(x, number)

    def _translated(self, run: str, trajectory: Trajectory, noise: Tensor, number: int, times: list[float]) -> Tensor:
        """The edited latents of one shot. What the edits hold ends with this call."""
        x, start = self.method.start(trajectory, self.schedule, noise)
        outside, inside = self.coherence.edits(self.backend.sites, times)
        edits = [*outside, *self.method.edits(self.backend.sites), *inside]
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
            return self._sampled(entry, denoise, x.to(self._device()), start, number, len(times))

    def finish(self) -> None:
        """Forget the checkpoints of a run that has reached its output; trajectories stay for the next prompt."""
        try:
            for run in self._runs:
                with self.store.entry("run", run) as entry:
                    entry.discard()
        except StoreError as failed:  # the output stands: what is left over is no reason to call the run failed
            self.report(Notice(message=f"checkpoints of this run stay in the store: {failed}"))

    def _trajectory(self, key: str, number: int, pixels: np.ndarray, noise: Tensor) -> Trajectory:
        """The source's latents at every level, from the store as far as it has them."""
        device, count = self._device(), len(pixels)
        if not self.method.inverts and not self.options.generate:
            clean = self._encoded(pixels, number)
            self._familiar(clean, number)
            return Noised(clean.cpu(), noise, self.schedule)
        with self.store.entry("trajectory", key) as entry:
            if self.options.generate:
                states = self._generated(entry, noise.to(device), number)
                return Walked(states) if self.method.inverts else Noised(states[0], noise, self.schedule)
            states = _resumed(entry, self.schedule.steps)
            if not states:
                states = [self._encoded(pixels, number).cpu()]
                entry.put(_name(0), {"x": states[0]})
            elif len(states) > 1:
                self.report(Notice(message=f"reusing {len(states) - 1} inversion steps from the store"))
            self._familiar(states[0], number)
            rounds = self.settings["inversion_rounds"]
            start, level = states[-1].to(device), len(states) - 1
            for state in invert(self._plain(count), start, self.schedule, level, rounds=rounds):
                self._keep(entry, state, states, "invert", number, count)
        return Walked(states)

    def _generated(self, entry: Entry, noise: Tensor, number: int) -> list[Tensor]:
        """A guidance picture of our own: the sampling run of the source prompt is its trajectory."""
        steps = self.schedule.steps
        states: dict[int, Tensor] = {steps: noise}
        for level in range(steps - 1, -1, -1):
            if (stored := entry.get(_name(level))) is None:
                break
            states[level] = stored[0]["x"]
        guidance = replace(self.guidance, negative=False)
        words = {**self.words, "positive": self.words["source"]}
        coherence = replace(self.coherence, kind="none")
        with injected(self.backend.network, []) as session:
            plain = Denoiser(
                self.backend, session, self.schedule, SDEdit(), coherence, guidance, words, Walked([]), number
            )
            lowest = min(states)
            for state in sample(plain, states[lowest].to(self._device()), self.schedule, lowest):
                states[state.level] = state.x.cpu()
                self._keep(entry, state, None, "invert", number, 1)
        return [states[level].cpu() for level in range(steps + 1)]

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
            advice = "" if self._dtype() == torch.float32 else "; try --dtype float32"
            raise DeviceError(f"the network gave NaN or infinity at {stage} step {done}{advice}")
        entry.put(name or _name(state.level), {"x": state.x.cpu()}, {"level": state.level})
        if states is not None:
            states.append(state.x.cpu())
        now = time.monotonic()
        self.timings[stage] = self.timings.get(stage, 0.0) + now - self._mark
        self._mark = now
        self.report(Progress(stage=stage, done=done, total=steps, unit="step", shot=number, frames=count))

    def _encoded(self, pixels: np.ndarray, number: int) -> Tensor:
        """Latents (f, c, h', w') of frames (f, h, w, 3) uint8."""
        latents = []
        with self._timed("encode"):
            for index in range(len(pixels)):
                latents.append(self.backend.encode(pixels[index : index + 1]))
                if not bool(torch.isfinite(latents[-1]).all()):
                    raise DeviceError(f"the autoencoder gave NaN or infinity for frame {index} of shot {number}")
                self._say("encode", index + 1, len(pixels), number)
        return torch.cat(latents)

    def _decoded(self, x: Tensor, number: int) -> np.ndarray:
        pictures = []
        with self._timed("decode"):
            for index in range(len(x)):
                pictures.append(self.backend.decode(x[index : index + 1]))
                self._say("decode", index + 1, len(x), number)
        return np.concatenate(pictures)

    def _say(self, stage: str, done: int, total: int, number: int) -> None:
        self.report(Progress(stage=stage, done=done, total=total, unit="frame", shot=number, frames=total))

    def _familiar(self, clean: Tensor, number: int) -> None:
        """Tell whoever brings a picture of a kind that the network has not learnt to denoise."""
        card = self.backend.card
        if number != 0 or not card.outside_notice:
            return
        x, level, quarters = clean[:1].to(self._device()), 2, self.backend.schedule(4)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
        noisy = Noised(x, noise, quarters).at(level)
        output = self.backend.predict(noisy, quarters.timestep(level), self.words["empty"].unsqueeze(0))
        _, guess = clean_and_noise(noisy, output, quarters.alphas[level], quarters.prediction)
        if float((guess - noise).square().mean()) > card.familiar_error:
            self.report(Notice(message=card.outside_notice))

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


@contextmanager
def _memory_told() -> Iterator[None]:
    """Exhausted memory, of the device or of the machine, as a DeviceError that says what needs less."""
    try:
        yield
    except (MemoryError, RuntimeError) as failed:  # torch.OutOfMemoryError is a RuntimeError; a CPU raises a plain one
        said = str(failed)
        if isinstance(failed, RuntimeError) and "out of memory" not in said and "can't allocate memory" not in said:
            raise
        raise DeviceError(
            "memory is exhausted; a smaller --size, a greater --keyframe-every or a smaller --batch needs less, "
            "and --dtype float16 or bfloat16 on a GPU; the finished steps are kept for the next try"
        ) from failed


def chosen(asked: Number | None, recommended: Number) -> Number:
    """What the user asked for, else what the checkpoint recommends."""
    return recommended if asked is None else asked


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
