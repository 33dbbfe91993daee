"""The source's trajectory of a window: encoded and inverted, or generated, each level kept in the store."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.checkpoints import Checkpoints
from pnpvideo.diffusion.ddim import clean_and_noise
from pnpvideo.diffusion.invert import State, invert
from pnpvideo.diffusion.regularise import Regularisation
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.events import Notice, Report
from pnpvideo.injection import injected
from pnpvideo.memory import CallGuard
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.denoiser import Denoiser
from pnpvideo.methods.lookout import Lookout
from pnpvideo.methods.method import Trajectory
from pnpvideo.methods.sdedit import SDEdit
from pnpvideo.methods.trajectory import Noised, Walked
from pnpvideo.resolved import Resolved
from pnpvideo.store import Entry, Store, fingerprint
from pnpvideo.window import Window


@dataclass(frozen=True)
class Inversion:
    """Makes trajectories, or takes them from ``store``. timings: seconds of each stage, to be added to."""

    backend: Backend
    schedule: Schedule
    resolved: Resolved
    guard: CallGuard
    store: Store
    report: Report
    timings: dict[str, float]

    def noised(self, window: Window) -> Trajectory:
        """For a method that does not invert: the source under the window's noise."""
        clean = self._encoded(window)
        self._familiar(clean, window)
        return Noised(clean.cpu(), window.noise, self.schedule)

    def inverted(self, key: str, window: Window, lookout: Lookout | None = None) -> tuple[Trajectory, str]:
        """Invert the window: the source's latents at every level, and the key under which the store has them.

        Levels that the store has are not computed again. The last bits of a trajectory depend on which frames share a
        network call, so its key is ``key`` with the frames of every call: a result never depends on the settings of an
        earlier run that filled the store. If memory runs out, the inversion starts again in smaller calls.
        """
        while True:
            batch, calls = self.guard.batch, self._calls(len(window.pixels), lookout)
            found = fingerprint(key, calls)
            if lookout is not None:
                lookout.correspondences.forget()
            states = self._inverted(found, window, lookout, batch)
            if states is not None:
                return Walked(states), found

    def _calls(self, frames: int, lookout: Lookout | None) -> list[list[tuple[int, ...]]]:
        """The frames of each network call, level by level from 1."""
        batch = self.guard.batch
        plain = [tuple(range(start, min(start + batch, frames))) for start in range(0, frames, batch)]
        levels = range(1, self.schedule.steps + 1)
        if lookout is None:
            return [plain for _ in levels]
        return [lookout.within(batch).calls(frames, level) or plain for level in levels]

    def _inverted(self, key: str, window: Window, lookout: Lookout | None, batch: int) -> list[Tensor] | None:
        """The states of all levels; None if calls have become smaller than ``batch`` frames on the way."""
        schedule = self.schedule
        with self.store.entry("trajectory", key) as entry:
            states = _held(entry, schedule.steps)
            if not states:
                states = [self._encoded(window).cpu()]
                entry.put(_name(0), {"x": states[0]})
            elif len(states) > 1:
                self.report(Notice(message=f"reusing {len(states) - 1} inversion steps from the store"))
            self._familiar(states[0], window)
            level, before = len(states) - 1, None
            if self.resolved.solver == "2m" and 1 < level < schedule.steps:  # what the solver looks back at
                before = next(self._walk(window, lookout, states[level - 1], level - 1)).before
            made: list[Tensor] = []
            with self._checkpoints(entry, window).kept() as keep:
                for state in self._walk(window, lookout, states[level], level, before):
                    if self.guard.batch != batch:
                        return None
                    made.append(state.x)
                    if keep(state.level, {_name(state.level): ({"x": state.x}, {})}):
                        made = [x.cpu() for x in made]
        return [*states, *(x.cpu() for x in made)]

    def _walk(
        self, window: Window, lookout: Lookout | None, x: Tensor, level: int, before: Tensor | None = None
    ) -> Iterator[State]:
        return invert(
            self._plain(window, lookout),
            x.to(self._device),
            self.schedule,
            level,
            rounds=self.resolved.inversion_rounds,
            refine=self._refine(),
            solver=self.resolved.solver,
            before=before,
        )

    def generated(self, key: str, window: Window) -> Walked:
        """A guidance picture of our own: the sampling run of the source prompt is its trajectory."""
        steps = self.schedule.steps
        states: dict[int, Tensor] = {steps: window.noise.to(self._device)}
        before: Tensor | None = None
        with self.store.entry("trajectory", key) as entry, injected(self.backend.network, []) as session:
            for level in range(steps - 1, -1, -1):
                if (stored := entry.get(_name(level))) is None:
                    break
                states[level] = stored[0]["x"]
                before = stored[0]["before"].to(self._device)
            plain = Denoiser(
                self.backend,
                session,
                self.schedule,
                SDEdit(),
                Coherence(kind="none", every=1, batch=1, seed=0),
                replace(window.guidance, negative=False),
                {**window.script.prompt_embeddings, "positive": window.script.prompt_embeddings["source"]},
                Walked([]),
            )
            lowest = min(states)

            def denoised(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
                with window.located("generate", steps - level + 1, steps):
                    return self.guard.run(lambda: plain(x, level))

            walk = sample(
                denoised,
                states[lowest].to(self._device),
                self.schedule,
                lowest,
                solver=self.resolved.solver,
                before=before,
            )
            with self._checkpoints(entry, window).kept() as keep:
                for state in walk:
                    assert state.before is not None
                    states[state.level] = state.x
                    part: dict[str, Tensor] = {"x": state.x, "before": state.before}
                    keep(steps - state.level, {_name(state.level): (part, {})})
        return Walked([states[level].cpu() for level in range(steps + 1)])

    @property
    def _device(self) -> torch.device:
        return self.backend.device

    def _checkpoints(self, entry: Entry, window: Window) -> Checkpoints:
        return Checkpoints(entry, "invert", self.schedule.steps, window, self.backend.dtype, self.report, self.timings)

    def _refine(self) -> Callable[[Tensor, int], Tensor] | None:
        """pix2pix-zero's regularisation; its shifts are a function of the level alone, the same for all frames."""
        if not self.resolved.regularize:
            return None
        regularise = Regularisation(pyramid_gain=self.resolved.regularize)
        return lambda eps, level: regularise(eps, Random(level))

    def _plain(self, window: Window, lookout: Lookout | None) -> Callable[[Tensor, int], Tensor]:
        """The network with the source prompt, frames in batches."""
        words, steps = window.script.prompt_embeddings["source"], self.schedule.steps

        def predict(x: Tensor, level: int) -> Tensor:
            timestep = self.schedule.timestep(level)

            def batched(batch: int) -> Tensor:
                parts = [(part, words.expand(len(part), *words.shape)) for part in x.split(batch)]
                return torch.cat([self.backend.predict(part, timestep, text) for part, text in parts])

            with window.located("invert", level, steps):
                if lookout is not None and lookout.calls(len(x), level) is not None:
                    least = lookout.together(len(x), level)
                    return self.guard.run_batched(lambda batch: lookout.within(batch).predict(x, level), least)
                return self.guard.run_batched(batched)

        return predict

    def _encoded(self, window: Window) -> Tensor:
        """Latents (f, c, h', w') of the window's drawings."""
        latents, total = [], len(window.pixels)
        with timed(self.timings, "encode"):
            for index in range(total):
                with window.located("encode", index + 1, total):
                    latents.append(self.guard.run(partial(self.backend.encode, window.pixels[index : index + 1])))
                self.report(window.progress("encode", index + 1, total, "frame"))
        return torch.cat(latents)

    def _familiar(self, clean: Tensor, window: Window) -> None:
        """Tell whoever brings a picture of a kind that the network has not learnt to denoise."""
        card = self.backend.card
        known = card.knows_pictures_at(self.resolved.size, self.backend.size)
        if (window.shot, window.part) != (0, 0) or card.outside_notice is None or not known:
            return
        x, level, quarters = clean[:1].to(self._device), 2, self.backend.schedule(4)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
        noisy = Noised(x, noise, quarters).at(level)
        output = self.backend.predict(
            noisy, quarters.timestep(level), window.script.prompt_embeddings["empty"].unsqueeze(0)
        )
        _, guess = clean_and_noise(noisy, output, quarters.alphas[level], quarters.prediction)
        if float((guess - noise).square().mean()) > card.familiar_error:
            self.report(Notice(message=card.outside_notice))


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.monotonic() - started


def _held(entry: Entry, steps: int) -> list[Tensor]:
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
