"""Sample a window's edited latents, starting from its source's trajectory or resuming an interrupted run."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import KnownSecondOrder, State
from pnpvideo.diffusion.trajectory import RecordedTrajectory, Trajectory
from pnpvideo.engine.anchors import NO_ANCHORS, Anchors, remembered_drawings
from pnpvideo.engine.beginning import Beginning
from pnpvideo.engine.checkpoints import Checkpoints
from pnpvideo.engine.denoiser import Denoiser, Evaluation
from pnpvideo.engine.pictures import report_picture, shows_step
from pnpvideo.engine.region import keep_source
from pnpvideo.engine.run import Run, Window
from pnpvideo.events import Notice
from pnpvideo.injection import Edit, Moment, injected
from pnpvideo.store import Entry

STATE = "state"
"""Name of the store part from which a run resumes: the latents, the solver's previous x0, and the level."""


class _Start(NamedTuple):
    """Where a run starts or resumes. chosen: level -> latents of the drawings that later windows attend to."""

    state: State
    chosen: dict[int, Tensor]


def sample_window(
    run: Run,
    window: Window,
    trajectory: Trajectory,
    edits: Sequence[Edit],
    mask: Tensor | None,
    key: str,
    beginning: Beginning | None = None,
) -> tuple[Tensor, Anchors]:
    """The edited clean latents (f, c, h', w') of the window's drawings, and its anchors for later windows.

    trajectory: the source's, of the window's own drawings. mask: (f, 1, h', w'), see keep_source; None: everything may
    change. key: of this run in the store. beginning: the first steps that other runs have in common with this one.
    """
    options, steps, anchors = run.options, run.schedule.steps, window.anchors
    whole = anchors.before(trajectory)
    keep_anchors = anchors.after_step(None if mask is None else keep_source(trajectory, mask))
    x, level = options.method.start(whole, run.schedule, window.stream(1))  # stream 0 may be what ``whole`` starts from
    x = anchors.started(x, level)
    chosen: tuple[int, ...] = ()
    if window.more and options.coherence.anchored:
        chosen = remembered_drawings(not anchors, len(window.times))
    rows = [len(anchors) + drawing for drawing in chosen]
    with run.store.entry("run", key) as entry, injected(run.backend.network, edits) as session:
        denoiser = Denoiser.of(run, window, session, whole)
        if rows and chosen_name(level) not in entry.names():
            entry.put(chosen_name(level), {"x": x[rows]})
        start = _resumed(run, window, entry, _Start(State(x.to(run.device), level), {level: x[rows]} if rows else {}))
        if beginning is not None and not rows:
            start = start._replace(state=beginning.further(start.state))
        evaluation: Evaluation | None = None

        def denoise(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
            nonlocal evaluation
            keyframes = options.coherence.keyframes(len(x), window.place, steps - level, len(anchors))
            with window.located("sample", steps - level + 1, steps):
                evaluation = run.guard.run_batched(
                    lambda batch: denoiser.within(batch).evaluate(x, level), len(keyframes)
                )
            return evaluation.origin, evaluation.output

        def after_step(x: Tensor, level: int) -> Tensor:
            if evaluation is not None and evaluation.source is not None:
                estimate = run.schedule.estimate(whole.at(level + 1).to(x), evaluation.source, level + 1)
                stepped = run.schedule.mix(estimate.x0, estimate.eps, level)
                x = options.method.after_step(x, whole.at(level).to(x), stepped)
            return x if keep_anchors is None else keep_anchors(x, level)

        known = run.solver.looks_back and options.method.inverts
        solver = KnownSecondOrder(denoiser.second_order) if known else run.solver
        x, states = start.state.x, dict(start.chosen)
        with Checkpoints(entry, "sample", run, window).kept(steps - start.state.level) as keep:
            for state in sample(denoise, start.state, run.schedule, solver, after_step):
                x = state.x
                latents = {"x": x} if state.previous_x0 is None else {"x": x, "previous_x0": state.previous_x0}
                parts = {STATE: (latents, {"level": state.level})}
                if rows and state.level > 0:
                    states[state.level] = x[rows]
                    parts = {chosen_name(state.level): ({"x": x[rows]}, {}), **parts}
                keep(steps - state.level, parts)
                if beginning is not None and not rows:
                    beginning.keep(state)
                if evaluation is not None and shows_step(run, state.level):
                    estimate = run.schedule.estimate(evaluation.origin, evaluation.output, state.level + 1)
                    report_picture(run, window, estimate.x0[len(anchors) :], steps - state.level)
    for edit in edits:  # beginning a step after the last one makes edits drop their tensors
        edit.begin(Moment(steps, steps, 0))
    new_anchors = NO_ANCHORS
    if chosen:
        source = RecordedTrajectory([trajectory.at(level)[list(chosen)] for level in range(steps + 1)])
        times = tuple(window.times[drawing] for drawing in chosen)
        kept = {level: latents.cpu() for level, latents in states.items()}
        new_anchors = Anchors(times, source, kept, key, tuple(each[list(chosen)] for each in window.conditions))
    return x[len(anchors) :], new_anchors


def _resumed(run: Run, window: Window, entry: Entry, start: _Start) -> _Start:
    """Where an interrupted run stopped; ``start`` if there was none, or a part of it is missing in the store."""
    saved = entry.get(STATE)
    if saved is None:
        return start
    tensors, notes = saved
    level, chosen = int(notes["level"]), dict(start.chosen)
    if chosen:
        for lower in range(start.state.level - 1, max(level, 1) - 1, -1):
            if (stored := entry.get(chosen_name(lower))) is None:
                return start
            chosen[lower] = stored[0]["x"]
    previous_x0 = tensors["previous_x0"].to(run.device) if "previous_x0" in tensors else None
    run.report(Notice(message=f"resuming shot {window.place.shot + 1} at step {run.schedule.steps - level}"))
    return _Start(State(tensors["x"].to(run.device), level, previous_x0), chosen)


def chosen_name(level: int) -> str:
    """Name of the store part that holds the latents, at a level, of the drawings that later windows attend to."""
    return f"chosen-{level:04d}"
