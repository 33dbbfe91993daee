"""Produce a window's source trajectory, by inversion, by generation or by the method; the store keeps each level."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from pnpvideo.coherence.independent import Independent
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.regularise import Regularisation
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import State
from pnpvideo.diffusion.trajectory import RecordedTrajectory, Trajectory
from pnpvideo.engine.checkpoints import Checkpoints
from pnpvideo.engine.denoiser import Denoiser
from pnpvideo.engine.pictures import encode, warn_if_unfamiliar
from pnpvideo.engine.recorder import SourceRecorder
from pnpvideo.engine.run import Run, Window
from pnpvideo.events import Notice
from pnpvideo.injection import Session, injected
from pnpvideo.methods.method import Method
from pnpvideo.store import Entry, fingerprint


def source_trajectory(run: Run, window: Window, recorder: SourceRecorder | None, key: str) -> tuple[Trajectory, str]:
    """The source's latents (f, c, h', w') at every level, and the trajectory's key in the store.

    recorder: makes the inversion's network calls at the levels where edits record them; None: nothing to record. key:
    hash of everything that the trajectory depends on, except which frames share a network call (see keys.source_key).
    """
    method = run.options.method
    if run.options.generate:
        generated = _generated(run, window, key)
        return generated if method.inverts else method.trajectory(generated.at(0), window.stream, run.schedule), key
    if not method.inverts:
        clean = encode(run, window)
        warn_if_unfamiliar(run, window, clean)
        return method.trajectory(clean.cpu(), window.stream, run.schedule), key
    return _inverted(run, window, recorder, key)


def _inverted(run: Run, window: Window, recorder: SourceRecorder | None, key: str) -> tuple[Trajectory, str]:
    """Invert the window; levels found in the store are not recomputed.

    Which frames share a network call changes the last bits of a trajectory. So the stored key also covers the frames of
    every call, and a result never depends on the batch size of the run that filled the store. If memory runs out, the
    inversion starts again with smaller calls.
    """
    while True:
        batch = run.guard.batch
        full_key = _key_with_calls(run, window, recorder, key)
        if recorder is not None:
            recorder.forget()
        states = _invert_levels(run, window, recorder, full_key, batch)
        if states is not None:
            return RecordedTrajectory(states), full_key


def expected_key(run: Run, window: Window, recorder: SourceRecorder | None, key: str) -> str:
    """The trajectory's key that ``source_trajectory`` returns if memory does not run out meanwhile."""
    inverts = run.options.method.inverts and not run.options.generate
    return _key_with_calls(run, window, recorder, key) if inverts else key


def _key_with_calls(run: Run, window: Window, recorder: SourceRecorder | None, key: str) -> str:
    return fingerprint(key, _calls(run, window, recorder, run.guard.batch))


def _calls(run: Run, window: Window, recorder: SourceRecorder | None, batch: int) -> list[list[tuple[int, ...]]]:
    """The frames of each network call, for each level from 1 up, and of those between levels."""
    frames = len(window.times)
    plain = [tuple(range(start, min(start + batch, frames))) for start in range(0, frames, batch)]
    levels, between = range(1, run.schedule.steps + 1), [plain] if run.solver.halfway else []
    if recorder is None:
        return [*(plain for _ in levels), *between]
    return [*(recorder.within(batch).calls(level) or plain for level in levels), *between]


def _invert_levels(
    run: Run, window: Window, recorder: SourceRecorder | None, key: str, batch: int
) -> list[Tensor] | None:
    """The latents of all levels, from 0; None if calls had to become smaller than ``batch`` frames on the way."""
    steps = run.schedule.steps
    with run.store.entry("trajectory", key) as entry:
        states = _stored(entry, steps)
        if not states:
            states = [encode(run, window).cpu()]
            entry.put(level_name(0), {"x": states[0]})
        elif len(states) > 1:
            run.report(Notice(message=f"reusing {len(states) - 1} inversion steps from the store"))
        warn_if_unfamiliar(run, window, states[0])
        state = State(states[-1], len(states) - 1)
        if run.solver.looks_back and not run.solver.halfway and 1 < state.level < steps:
            below = State(states[-2], state.level - 1)  # repeat the last stored step, for what the solver looks back at
            state = state._replace(previous_x0=next(_steps(run, window, recorder, below)).previous_x0)
        computed: list[Tensor] = []
        with Checkpoints(entry, "invert", run, window).kept(state.level) as keep:
            for reached in _steps(run, window, recorder, state):
                if run.guard.batch != batch:
                    return None
                computed.append(reached.x)
                if keep(reached.level, {level_name(reached.level): ({"x": reached.x}, {})}):
                    computed = [x.cpu() for x in computed]
    return [*states, *(x.cpu() for x in computed)]


def _steps(run: Run, window: Window, recorder: SourceRecorder | None, start: State) -> Iterator[State]:
    return invert(
        _source_network(run, window, recorder),
        start._replace(x=start.x.to(run.device)),
        run.schedule,
        run.solver,
        rounds=run.options.sampling.inversion_rounds or 0,
        refine=regularisation(run),
    )


def _source_network(run: Run, window: Window, recorder: SourceRecorder | None) -> Callable[[Tensor, float], Tensor]:
    """predict(x, level): the network's output for the source prompt, in calls of the guard's batch."""
    words, steps = window.script.prompt_embeddings["source"], run.schedule.steps

    def predict(x: Tensor, level: float) -> Tensor:
        timestep, whole = run.schedule.timestep(level), math.ceil(level)

        def batched(batch: int) -> Tensor:
            parts = [(part, words.batch(len(part))) for part in x.split(batch)]
            return torch.cat([run.backend.predict(part, timestep, text) for part, text in parts])

        with window.located("invert", whole, steps):
            if recorder is not None and recorder.calls(level) is not None:
                least = recorder.smallest_call(whole)
                return run.guard.run_batched(lambda batch: recorder.within(batch).predict(x, whole), least)
            return run.guard.run_batched(batched)

    return predict


def regularisation(run: Run) -> Callable[[Tensor, int], Tensor] | None:
    """pix2pix-zero's regularisation of inverted noise, the same for all frames; None where the options set it to 0."""
    gain = run.options.sampling.regularize
    if not gain:
        return None
    return Regularisation(pyramid_gain=gain)


def source_denoiser(run: Run, window: Window, session: Session) -> Denoiser:
    """Guided sampling from the source prompt, without edits: what draws the generated guidance picture."""
    words = {**window.script.prompt_embeddings, "positive": window.script.prompt_embeddings["source"]}
    guidance = replace(window.guidance, negative=False)
    return Denoiser(
        run.backend, session, run.schedule, Method(), Independent(), guidance, words, RecordedTrajectory([]), batch=1
    )


def _generated(run: Run, window: Window, key: str) -> RecordedTrajectory:
    """Sample a picture from the source prompt; the latents of its steps are the trajectory. Resumes from the store."""
    steps = run.schedule.steps
    states: dict[int, Tensor] = {steps: window.noise.to(run.device)}
    previous_x0: Tensor | None = None
    with run.store.entry("trajectory", key) as entry, injected(run.backend.network, []) as session:
        for level in range(steps - 1, -1, -1):
            if (stored := entry.get(level_name(level))) is None:
                break
            states[level] = stored[0]["x"]
            previous_x0 = stored[0]["previous_x0"].to(run.device) if "previous_x0" in stored[0] else None
        denoiser, lowest = source_denoiser(run, window, session), min(states)

        def denoise(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
            with window.located("generate", steps - level + 1, steps):
                return run.guard.run(lambda: denoiser(x, level))

        start = State(states[lowest].to(run.device), lowest, previous_x0)
        with Checkpoints(entry, "invert", run, window).kept(steps - lowest) as keep:
            for state in sample(denoise, start, run.schedule, run.solver):
                states[state.level] = state.x
                tensors: dict[str, Tensor] = {"x": state.x}
                if state.previous_x0 is not None:
                    tensors["previous_x0"] = state.previous_x0
                keep(steps - state.level, {level_name(state.level): (tensors, {})})
    return RecordedTrajectory([states[level].cpu() for level in range(steps + 1)])


def _stored(entry: Entry, steps: int) -> list[Tensor]:
    """The stored latents of the levels from 0 up to the first one that is missing."""
    states: list[Tensor] = []
    for level in range(steps + 1):
        stored = entry.get(level_name(level))
        if stored is None:
            break
        states.append(stored[0]["x"])
    return states


def level_name(level: int) -> str:
    """Name of the store part that holds a trajectory's latents at a level."""
    return f"level-{level:04d}"
