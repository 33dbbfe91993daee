"""Keys of the store: everything that a result depends on, and nothing else."""

from dataclasses import replace

from torch import Tensor

from pnpvideo.engine.run import Run, Window
from pnpvideo.store import fingerprint

FORMAT = 6  # of what the store keeps for a run; a change of the maths that alters results raises it


def source_key(run: Run, window: Window) -> str:
    """Of a window's trajectory, but for which frames share a network call (see inversion.inverted)."""
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


def run_key(run: Run, window: Window, trajectory: str, mask: Tensor | None) -> str:
    """Of a window's sampling run. trajectory: the key of its source's. mask: of the latents, where files give one; a
    mask that the network finds is known by its tokens."""
    options, script = run.options, window.script
    return fingerprint(
        FORMAT,
        trajectory,
        script.prompt,
        script.prompt_embeddings,
        options.method,
        window.guidance,
        options.coherence,
        tuple(window.place),
        run.guard.batch,
        window.times,
        window.anchors.run,
        window.tokens,
        None if mask is None or window.tokens is not None else mask.numpy(),
    )
