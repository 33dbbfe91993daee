"""One shot after another through a model: encoded, inverted, sampled, decoded; each step is kept and can be resumed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.background import kept, of_latents, of_word, tokens_of
from pnpvideo.diffusion.ddim import clean_and_noise
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.invert import State, invert
from pnpvideo.diffusion.regularise import Regularisation
from pnpvideo.diffusion.sample import sample
from pnpvideo.errors import DeviceError, OptionError, StoreError
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.injection import injected
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.denoiser import Denoiser
from pnpvideo.methods.method import Method, Trajectory
from pnpvideo.methods.sdedit import SDEdit
from pnpvideo.methods.trajectory import Noised, Walked, shot_noise
from pnpvideo.options import TranslateOptions
from pnpvideo.resolved import Resolved
from pnpvideo.store import Entry, Store, fingerprint
from pnpvideo.video.drawings import Drawings
from pnpvideo.video.fit import to_working, working_size
from pnpvideo.words.script import Script, Scripts

FORMAT = 1  # of what the store keeps for a run; a change of the maths that alters results raises it


@dataclass(frozen=True)
class Work:
    """One shot: its drawings (f, h, w, 3) uint8 at the working size, their times in seconds, what its lanes are told,
    and its noise (1, c, h', w')."""

    number: int
    pixels: np.ndarray
    times: tuple[float, ...]
    script: Script
    guidance: Guidance
    noise: Tensor


class Drawn(NamedTuple):
    """pictures: (drawings, h, w, 3) uint8 at the working size. masks: (drawings, h', w') float32 in [0, 1], 1 where a
    picture may differ from its source; None: everywhere."""

    pictures: np.ndarray
    masks: np.ndarray | None


class Translator:
    """Translates one shot after another with one model, prompt and set of options."""

    def __init__(
        self, backend: Backend, options: TranslateOptions, prompt: str | None, store: Store, report: Report
    ) -> None:
        self.backend, self.options, self.store, self.report = backend, options, store, report
        self.schedule = backend.schedule(options.steps)
        self.scripts = Scripts(backend, options, prompt, store, report)
        self.timings: dict[str, float] = {}
        self.counts = {"shots": 0, "frames": 0, "drawings": 0}
        self.texts: list[dict[str, str]] = []
        self._runs: list[str] = []
        self._said, self._unsaid = False, ""  # what keep_background looks for
        self._mark = time.monotonic()
        self.resolved = Resolved.of(options, backend)
        for idle in options.without_effect():
            report(Notice(message=f"{idle} is set, and has no effect: the method is {options.method}"))
        self.method: Method = self.resolved.method(options)
        self.coherence = Coherence(
            kind=options.coherence, every=options.keyframe_every, batch=options.batch, seed=options.seed
        )

    def shot(
        self, number: int, drawings: Drawings, display: tuple[int, int], masks: Sequence[np.ndarray] | None = None
    ) -> Drawn:
        """The translated drawings of shot ``number`` at the working size.

        masks: of each drawing, (h, w) uint8 of any size, white where it may change; None: everywhere. Raises
        DeviceError if memory runs out or the network gives NaN; finished steps are kept.
        """
        with _memory_told(), torch.no_grad():
            return self._shot(number, drawings, display, masks)

    def _shot(
        self, number: int, drawings: Drawings, display: tuple[int, int], masks: Sequence[np.ndarray] | None
    ) -> Drawn:
        frames = drawings.frames
        self.counts["shots"] += 1
        self.counts["frames"] += len(drawings.of)
        self.counts["drawings"] += len(frames)
        size = working_size(*display, self.options.size or self.backend.size, self.backend.multiple)
        pixels = to_working((frame.pixels for frame in frames), size)
        script = self.scripts.of(lambda: pixels[len(pixels) // 2])
        self.texts.append({"source": script.source, "prompt": script.prompt, "negative": script.negative})
        work = Work(
            number=number,
            pixels=pixels,
            times=tuple(float(frame.pts_seconds) for frame in frames),
            script=script,
            guidance=self.resolved.guided(self.options, script.negative),
            noise=shot_noise(self.backend.latent_shape(*size), self.options.seed, number),
        )
        generate, inverts = self.options.generate, self.method.inverts
        key = fingerprint(
            FORMAT,
            self.backend.fingerprint,
            self.schedule,
            script.source,
            str(self._dtype()),
            ("generated", self.options.seed, number, work.guidance.scale, size) if generate else pixels,
            work.noise if not inverts and not generate else None,
            (self.resolved.inversion_rounds, self.resolved.regularize) if inverts and not generate else None,
        )
        tokens = self._kept_of(script.source, number)
        if tokens == ():
            return Drawn(pixels, np.zeros((len(pixels), *work.noise.shape[-2:]), np.float32))
        trajectory = self._trajectory(key, work)
        mask = None if masks is None else of_latents(masks, *work.noise.shape[-2:])
        if tokens is not None:
            mask = of_word(self.backend, trajectory, self.schedule, script.words["source"], tokens, len(frames))
        run = fingerprint(
            *(FORMAT, key, script.prompt, script.words, self.method, self.coherence, work.guidance, number, work.times),
            tokens if masks is None or mask is None else mask.numpy(),
        )
        self._runs.append(run)
        pictures = self._decoded(self._translated(run, trajectory, work, mask), number)
        return Drawn(pictures, None if mask is None else mask[:, 0].numpy())

    def _kept_of(self, source: str, number: int) -> tuple[int, ...] | None:
        """The tokens of what alone may change, none if this shot does not show it; None: everything may."""
        if not self.options.keep_background:
            return None
        word = self.options.change[0] if self.options.change else self.scripts.files[0][0].source
        tokens = tokens_of(self.backend, source, word)
        if tokens:
            self._said = True
        else:
            self._unsaid = f"keep_background looks for {word!r}, and the source prompt does not say it: {source!r}"
            self.report(Notice(message=f"shot {number} is kept as it is: {self._unsaid}"))
        return tokens

    def check(self) -> None:
        """Raises OptionError where nothing was to be changed in any shot."""
        if self._unsaid and not self._said:
            raise OptionError(f"{self._unsaid}; give a source prompt that does, or a mask")

    def _translated(self, run: str, trajectory: Trajectory, work: Work, mask: Tensor | None) -> Tensor:
        """The edited latents of one shot. What the edits hold ends with this call."""
        fresh = shot_noise(work.noise.shape[1:], self.options.seed, work.number, stream=1)
        x, start = self.method.start(trajectory, self.schedule, fresh)  # a generated start is work.noise itself
        outside, inside = self.coherence.edits(self.backend.sites, work.times)
        edits = [*outside, *self.method.edits(self.backend.sites), *inside]
        with self.store.entry("run", run) as entry, injected(self.backend.network, edits) as session:
            denoise = Denoiser(
                self.backend,
                session,
                self.schedule,
                self.method,
                self.coherence,
                work.guidance,
                work.script.words,
                trajectory,
                work.number,
            )
            settle = None if mask is None else kept(trajectory, mask)
            return self._sampled(entry, denoise, x.to(self._device()), start, work, settle)

    def finish(self) -> None:
        """Forget the checkpoints of a run that has reached its output; trajectories stay for the next prompt."""
        try:
            for run in self._runs:
                with self.store.entry("run", run) as entry:
                    entry.discard()
        except StoreError as failed:  # the output stands: what is left over is no reason to call the run failed
            self.report(Notice(message=f"checkpoints of this run stay in the store: {failed}"))

    def _trajectory(self, key: str, work: Work) -> Trajectory:
        """The source's latents at every level, from the store as far as it has them."""
        options, device = self.options, self._device()
        if not self.method.inverts and not options.generate:
            clean = self._encoded(work.pixels, work.number)
            self._familiar(clean, work)
            return Noised(clean.cpu(), work.noise, self.schedule)
        with self.store.entry("trajectory", key) as entry:
            if options.generate:
                states = self._generated(entry, work)
                return Walked(states) if self.method.inverts else Noised(states[0], work.noise, self.schedule)
            states = _resumed(entry, self.schedule.steps)
            if not states:
                states = [self._encoded(work.pixels, work.number).cpu()]
                entry.put(_name(0), {"x": states[0]})
            elif len(states) > 1:
                self.report(Notice(message=f"reusing {len(states) - 1} inversion steps from the store"))
            self._familiar(states[0], work)
            above = invert(
                self._plain(work),
                states[-1].to(device),
                self.schedule,
                len(states) - 1,
                rounds=self.resolved.inversion_rounds,
                refine=self._refine(),
            )
            for state in above:
                self._keep(entry, state, states, "invert", work)
        return Walked(states)

    def _refine(self) -> Callable[[Tensor, int], Tensor] | None:
        """pix2pix-zero's regularisation; its shifts are a function of the level alone, the same for all frames."""
        if not self.resolved.regularize:
            return None
        regularise = Regularisation(pyramid_gain=self.resolved.regularize)
        return lambda eps, level: regularise(eps, Random(level))

    def _generated(self, entry: Entry, work: Work) -> list[Tensor]:
        """A guidance picture of our own: the sampling run of the source prompt is its trajectory."""
        steps = self.schedule.steps
        states: dict[int, Tensor] = {steps: work.noise.to(self._device())}
        for level in range(steps - 1, -1, -1):
            if (stored := entry.get(_name(level))) is None:
                break
            states[level] = stored[0]["x"]
        guidance = replace(work.guidance, negative=False)
        words = {**work.script.words, "positive": work.script.words["source"]}
        coherence = replace(self.coherence, kind="none")
        with injected(self.backend.network, []) as session:
            plain = Denoiser(
                self.backend, session, self.schedule, SDEdit(), coherence, guidance, words, Walked([]), work.number
            )
            lowest = min(states)
            for state in sample(plain, states[lowest].to(self._device()), self.schedule, lowest):
                states[state.level] = state.x.cpu()
                self._keep(entry, state, None, "invert", work)
        return [states[level].cpu() for level in range(steps + 1)]

    def _sampled(
        self,
        entry: Entry,
        denoise: Denoiser,
        x: Tensor,
        level: int,
        work: Work,
        settle: Callable[[Tensor, int], Tensor] | None,
    ) -> Tensor:
        """The end of the sampling run, taken up where an interrupted one stopped."""
        saved = entry.get("state")
        if saved is not None:
            x, level = saved[0]["x"].to(self._device()), int(saved[1]["level"])
            self.report(Notice(message=f"resuming shot {work.number} at step {self.schedule.steps - level}"))
        for state in sample(denoise, x, self.schedule, level, settle):
            self._keep(entry, state, None, "sample", work, name="state")
            x = state.x
        return x

    def _keep(
        self,
        entry: Entry,
        state: State,
        states: list[Tensor] | None,
        stage: str,
        work: Work,
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
        self.report(
            Progress(stage=stage, done=done, total=steps, unit="step", shot=work.number, frames=len(work.times))
        )

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

    def _familiar(self, clean: Tensor, work: Work) -> None:
        """Tell whoever brings a picture of a kind that the network has not learnt to denoise."""
        card = self.backend.card
        if work.number != 0 or not card.outside_notice:
            return
        x, level, quarters = clean[:1].to(self._device()), 2, self.backend.schedule(4)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
        noisy = Noised(x, noise, quarters).at(level)
        output = self.backend.predict(noisy, quarters.timestep(level), work.script.words["empty"].unsqueeze(0))
        _, guess = clean_and_noise(noisy, output, quarters.alphas[level], quarters.prediction)
        if float((guess - noise).square().mean()) > card.familiar_error:
            self.report(Notice(message=card.outside_notice))

    def _plain(self, work: Work) -> Callable[[Tensor, int], Tensor]:
        """The network with the source prompt, frames in batches."""
        words, batch = work.script.words["source"], self.options.batch

        def predict(x: Tensor, level: int) -> Tensor:
            parts = [
                self.backend.predict(part, self.schedule.timestep(level), words.expand(len(part), *words.shape))
                for part in x.split(batch)
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
            "and --dtype float16 or bfloat16 on a GPU, and --checkpointing or --map-pixels where pix2pix-zero guides; "
            "the finished steps are kept for the next try"
        ) from failed


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
