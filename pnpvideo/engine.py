"""One window after another through a model: inverted, sampled, decoded; each step is kept and can be resumed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.background import kept, of_latents, of_word, tokens_of
from pnpvideo.checkpoints import Checkpoints
from pnpvideo.diffusion.sample import sample
from pnpvideo.edits.token_flow import Correspondences
from pnpvideo.errors import OptionError, StoreError
from pnpvideo.events import Notice, Report
from pnpvideo.injection import Edit, Moment, injected
from pnpvideo.inversion import Inversion, timed
from pnpvideo.memory import CallGuard, memory_errors
from pnpvideo.methods.coherence import Coherence
from pnpvideo.methods.denoiser import Denoiser
from pnpvideo.methods.lookout import Lookout
from pnpvideo.methods.method import Method, Trajectory
from pnpvideo.methods.trajectory import Noised, Walked, shot_noise
from pnpvideo.options import TranslateOptions
from pnpvideo.resolved import Resolved
from pnpvideo.store import Entry, Store, fingerprint
from pnpvideo.video.clip import Frame, Shot
from pnpvideo.video.drawings import Drawings
from pnpvideo.video.fit import to_working, working_size
from pnpvideo.window import Anchors, Window
from pnpvideo.words.script import Script, ScriptWriter

FORMAT = 5  # of what the store keeps for a run; a change of the maths that alters results raises it
STATE = "state"
"""The part of a run that it goes on from: x, and what the solver looks back at."""


class Drawn(NamedTuple):
    """pictures: (drawings, h, w, 3) uint8 at the working size. masks: (drawings, h', w') float32 in [0, 1], 1 where a
    picture may differ from its source; None: everywhere."""

    pictures: np.ndarray
    masks: np.ndarray | None


class Translator:
    """Translates one window after another with one model, prompt and set of options."""

    def __init__(
        self, backend: Backend, options: TranslateOptions, prompt: str | None, store: Store, report: Report
    ) -> None:
        self.backend, self.options, self.store, self.report = backend, options, store, report
        self.resolved = Resolved.of(options, backend)
        self.schedule = backend.schedule(self.resolved.steps, self.resolved.spacing)
        self.scripts = ScriptWriter(backend, options, prompt, store, report)
        self.timings: dict[str, float] = {}
        self.counts = {"shots": 0, "windows": 0, "frames": 0, "drawings": 0}
        self.texts: list[dict[str, str]] = []
        self._runs: list[str] = []
        self._said, self._unsaid = False, ""  # what keep_background looks for
        self._script: Script | None = None  # of the shot under way
        self._last: Drawn | None = None  # drawing of it
        self._anchors: list[Anchors] = []  # of its first window, and of the one before
        for idle in options.without_effect():
            report(Notice(message=f"{idle} is set, and has no effect: the method is {options.method}"))
        self.method: Method = self.resolved.method(options)
        self.coherence = Coherence(
            kind=options.coherence, every=options.keyframe_every, batch=options.batch, seed=options.seed
        )
        self.guard = CallGuard(backend, options.batch, report)
        self.inversion = Inversion(backend, self.schedule, self.resolved, self.guard, store, report, self.timings)

    def window(
        self,
        shot: Shot,
        drawings: Drawings,
        display: tuple[int, int],
    ) -> Drawn:
        """The translated ``drawings`` of a shot, or a part of one, at the working size; parts come in their order.

        display: width and height of the input. The masks of the drawings may be of any size, white where a drawing may
        change. Raises DeviceError if memory runs out or the network gives NaN; finished steps are kept.
        """
        frames, masks = drawings.frames, drawings.masks
        self._count(shots=shot.part == 0, frames=len(drawings.of))
        if drawings.carried:
            frames, masks = frames[1:], None if masks is None else masks[1:]
        made: list[Drawn] = [self._last] if drawings.carried and self._last is not None else []
        if frames:
            with memory_errors(), torch.no_grad():
                made.append(self._window(shot, frames, display, masks))
        pictures = np.concatenate([part.pictures for part in made])
        found = [part.masks for part in made if part.masks is not None]
        self._last = Drawn(made[-1].pictures[-1:].copy(), found[-1][-1:].copy() if found else None)
        return Drawn(pictures, np.concatenate(found) if found else None)

    def _window(
        self, shot: Shot, frames: Sequence[Frame], display: tuple[int, int], masks: Sequence[np.ndarray] | None
    ) -> Drawn:
        self._count(windows=1, drawings=len(frames))
        size = working_size(*display, self.options.size or self.backend.size, self.backend.multiple)
        pixels = to_working((frame.pixels for frame in frames), size)
        window = Window(
            shot=shot.index,
            part=shot.part,
            pixels=pixels,
            times=tuple(float(frame.pts_seconds) for frame in frames),
            script=(script := self._script_of(shot.part, pixels)),
            guidance=self.resolved.guided(self.options, script.negative),
            noise=shot_noise(self.backend.latent_shape(*size), self.options.seed, shot.index),
            anchors=self._anchors_of(shot.part),
        )
        key = self._key(window)
        tokens = self._kept_of(script.source, window)
        if tokens == ():
            return Drawn(pixels, np.zeros((len(pixels), *window.noise.shape[-2:]), np.float32))
        edits = self._edits(window)
        trajectory, key = self._trajectory(key, window, edits)
        mask = None if masks is None else of_latents(masks, *window.noise.shape[-2:])
        if tokens is not None:
            mask = of_word(
                self.backend, trajectory, self.schedule, script.prompt_embeddings["source"], tokens, len(frames)
            )
        run = fingerprint(
            *(FORMAT, key, script.prompt, script.prompt_embeddings, self.method, window.guidance, window.shot),
            replace(self.coherence, batch=self.guard.batch),
            *(window.part, window.times, None if window.anchors is None else window.anchors.run),
            tokens if masks is None or mask is None else mask.numpy(),
        )
        self._runs.append(run)
        pictures = self._decoded(self._translated(run, trajectory, window, edits, mask, shot.more), window)
        return Drawn(pictures, None if mask is None else mask[:, 0].numpy())

    def _count(self, **more: int) -> None:
        for name, number in more.items():
            self.counts[name] += number

    def _script_of(self, part: int, pixels: np.ndarray) -> Script:
        """One for all windows of a shot: what its first one shows."""
        if part == 0 or self._script is None:
            self._script = script = self.scripts.write(lambda: pixels[len(pixels) // 2])
            self.texts.append({"source": script.source, "prompt": script.prompt, "negative": script.negative})
        return self._script

    def _anchors_of(self, part: int) -> Anchors | None:
        if part == 0:
            self._anchors.clear()
        if not self._anchors:
            return None
        return Anchors.joined(self._anchors, self.schedule.steps + 1)

    def _key(self, window: Window) -> str:
        """Everything that the window's trajectory depends on but which frames share a network call (see inverted)."""
        generate, inverts = self.options.generate, self.method.inverts
        alone = replace(window.guidance, negative=False)
        generated = ("generated", self.options.seed, window.shot, alone, tuple(window.noise.shape))
        return fingerprint(
            FORMAT,
            self.backend.fingerprint,
            self.schedule,
            self.resolved.solver,
            window.script.source,
            self.backend.numerics,
            generated if generate else window.pixels,
            window.noise if not inverts and not generate else None,
            (self.resolved.inversion_rounds, self.resolved.regularize) if inverts and not generate else None,
        )

    def _edits(self, window: Window) -> list[Edit]:
        times = window.times if window.anchors is None else (*window.anchors.times, *window.times)
        return self.coherence.edits(self.method.edits(self.backend.sites), self.backend.sites, times)

    def _trajectory(self, key: str, window: Window, edits: Sequence[Edit]) -> tuple[Trajectory, str]:
        """The source's trajectory, and its full key."""
        if self.options.generate:
            walked = self.inversion.generated(key, window)
            return walked if self.method.inverts else Noised(walked.at(0), window.noise, self.schedule), key
        if not self.method.inverts:
            return self.inversion.noised(window), key
        return self.inversion.inverted(key, window, self._lookout(window, edits))

    def _lookout(self, window: Window, edits: Sequence[Edit]) -> Lookout | None:
        """None where the inversion asks the network elsewhere than the source lane will."""
        found = [edit for edit in edits if isinstance(edit, Correspondences)]
        if not found or self.resolved.solver != "2m":
            return None
        return Lookout(
            self.backend,
            self.schedule,
            self.coherence,
            found[0],
            window.script.prompt_embeddings,
            (window.shot, window.part),
            *((0, None) if window.anchors is None else (len(window.anchors), window.anchors.source)),
        )

    def _kept_of(self, source: str, window: Window) -> tuple[int, ...] | None:
        """The tokens of what alone may change, none if this shot does not show it; None: everything may."""
        if not self.options.keep_background:
            return None
        word = self.options.change[0] if self.options.change else self.scripts.files[0][0].source
        tokens = tokens_of(self.backend, source, word)
        if tokens:
            self._said = True
        else:
            self._unsaid = f"keep_background looks for {word!r}, and the source prompt does not say it: {source!r}"
            if window.part == 0:
                self.report(Notice(message=f"shot {window.shot} is kept as it is: {self._unsaid}"))
        return tokens

    def check(self) -> None:
        """Raises OptionError where nothing was to be changed in any shot."""
        if self._unsaid and not self._said:
            raise OptionError(f"{self._unsaid}; give a source prompt that does, or a mask")

    def _translated(
        self,
        run: str,
        trajectory: Trajectory,
        window: Window,
        edits: Sequence[Edit],
        mask: Tensor | None,
        more: bool,
    ) -> Tensor:
        """The edited latents of one window. What the edits hold ends with this call."""
        anchors = window.anchors
        settle = None if mask is None else kept(trajectory, mask)
        whole = trajectory
        if anchors is not None:
            whole, settle = anchors.before(trajectory), anchors.settled(settle)
        fresh = shot_noise(window.noise.shape[1:], self.options.seed, window.shot, stream=1)
        x, start = self.method.start(whole, self.schedule, fresh)  # a generated start is the window's own noise
        if anchors is not None:
            x = torch.cat((anchors.states[start], x[len(anchors) :]))
        with self.store.entry("run", run) as entry, injected(self.backend.network, edits) as session:
            denoise = Denoiser(
                self.backend,
                session,
                self.schedule,
                self.method,
                self.coherence,
                window.guidance,
                window.script.prompt_embeddings,
                whole,
                (window.shot, window.part),
                0 if anchors is None else len(anchors),
            )
            chosen = window.to_remember() if more and self.coherence.kind != "none" else ()
            x, states = self._sampled(entry, denoise, x.to(self._device), start, window, settle, chosen)
        for edit in edits:
            edit.begin(Moment(self.schedule.steps, self.schedule.steps, 0))  # there is no such step: nothing is held
        if chosen:
            seen = tuple(window.times[frame] for frame in chosen)
            source = Walked([trajectory.at(level)[list(chosen)] for level in range(self.schedule.steps + 1)])
            self._anchors = [*self._anchors[:1], Anchors(seen, source, states, run)]
        return x[denoise.anchors :]

    def finish(self) -> None:
        """Forget the checkpoints of a run that has reached its output; trajectories stay for the next prompt."""
        try:
            for run in self._runs:
                with self.store.entry("run", run) as entry:
                    entry.discard()
        except StoreError as failed:  # the output stands: what is left over is no reason to call the run failed
            self.report(Notice(message=f"checkpoints of this run stay in the store: {failed}"))

    def _sampled(
        self,
        entry: Entry,
        denoise: Denoiser,
        x: Tensor,
        start: int,
        window: Window,
        settle: Callable[[Tensor, int], Tensor] | None,
        chosen: tuple[int, ...],
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """The end of the sampling run, taken up where an interrupted one stopped, and the states of the ``chosen``
        drawings at every level that a step starts from, on the CPU."""
        steps, rows = self.schedule.steps, [denoise.anchors + frame for frame in chosen]
        level, before = start, None
        held: dict[int, Tensor] = {start: x[rows]} if rows else {}
        if (saved := entry.get(STATE)) is not None and (
            found := _remembered(entry, saved[1]["level"], start, held)
        ) is not None:
            held, level = found, int(saved[1]["level"])
            x = saved[0]["x"].to(self._device)
            before = saved[0]["before"].to(self._device) if "before" in saved[0] else None
            self.report(Notice(message=f"resuming shot {window.shot} at step {steps - level}"))
        checkpoints = Checkpoints(entry, "sample", steps, window, self.backend.dtype, self.report, self.timings)

        def denoised(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
            keyframes = self.coherence.keyframes(len(x), denoise.place, steps - level, denoise.anchors)
            with window.located("sample", steps - level + 1, steps):
                return self.guard.run_batched(lambda batch: denoise.within(batch)(x, level), len(keyframes))

        ahead = denoise.ahead if self.resolved.solver == "2m" and self.method.inverts else None
        walk = sample(denoised, x, self.schedule, level, settle, self.resolved.solver, before, ahead)
        with checkpoints.kept() as keep:
            for state in walk:
                x = state.x
                latents = {"x": x} if state.before is None else {"x": x, "before": state.before}
                parts = {STATE: (latents, {"level": state.level})}
                if rows and state.level > 0:
                    held[state.level] = x[rows]
                    parts = {f"chosen-{state.level:04d}": ({"x": x[rows]}, {}), **parts}
                keep(steps - state.level, parts)
        return x, {level: latents.cpu() for level, latents in held.items()}

    def _decoded(self, x: Tensor, window: Window) -> np.ndarray:
        pictures, total = [], len(x)
        with timed(self.timings, "decode"):
            for index in range(total):
                with window.located("decode", index + 1, total):
                    pictures.append(self.guard.run(partial(self.backend.decode, x[index : index + 1])))
                self.report(window.progress("decode", index + 1, total, "frame"))
        return np.concatenate(pictures)

    @property
    def _device(self) -> torch.device:
        return self.backend.device


def _remembered(entry: Entry, level: int, start: int, held: dict[int, Tensor]) -> dict[int, Tensor] | None:
    """The states of the chosen drawings from ``start`` down to ``level``; None where the store lacks one of them."""
    if not held:
        return held
    for lower in range(start - 1, max(level, 1) - 1, -1):
        if (stored := entry.get(f"chosen-{lower:04d}")) is None:
            return None
        held = {**held, lower: stored[0]["x"]}
    return held
