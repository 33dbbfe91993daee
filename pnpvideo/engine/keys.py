"""Store keys: hashes of everything that a result depends on, and of nothing else."""

from dataclasses import replace

from torch import Tensor

from pnpvideo.engine.run import Run, Window
from pnpvideo.store import fingerprint

FORMAT = 7  # version of the keys; raise it when a change of the maths alters results


def source_key(run: Run, window: Window) -> str:
    """Key of a window's source trajectory, except which frames share a network call (inversion adds those)."""
    options, sampling = run.options, run.options.sampling
    inverts, generate = options.method.inverts, options.generate
    generated = (
        *("generated", sampling.seed, window.place.shot, replace(window.guidance, negative=False)),
        tuple(window.noise.shape),
    )
    return fingerprint(
        FORMAT,
        run.backend.fingerprint,
        run.schedule,
        sampling.solver,
        window.script.source,
        run.backend.numerics,
        generated if generate else window.pixels,
        window.noise if not inverts and not generate else None,
        (sampling.inversion_rounds, sampling.regularize) if inverts and not generate else None,
    )


def run_key(run: Run, window: Window, trajectory: str, mask: Tensor | None, before: int | None = None) -> str:
    """Key of a window's sampling run, or of its steps before the step ``before`` alone.

    trajectory: key of its source trajectory. mask: (f, 1, h', w'), hashed if it comes from a file; a mask found by the
    network follows from the trajectory and ``window.tokens``, which are part of the key.
    """
    options, script = run.options, window.script
    controls = [(control.key, each) for control, each in zip(run.controls, window.conditions, strict=True)]
    return fingerprint(
        FORMAT,
        trajectory,
        script.prompt,
        script.prompt_embeddings,
        options.method if before is None else ("before", before, options.method.before(before, run.schedule.steps)),
        window.guidance,
        options.coherence,
        tuple(window.place),
        run.guard.batch,
        window.times,
        window.anchors.run,
        window.tokens,
        None if mask is None or window.tokens is not None else mask.numpy(),
        *([controls] if controls else []),
    )
