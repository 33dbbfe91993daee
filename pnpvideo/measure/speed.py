"""What a result costs: recipes side by side in one process, with the published ones, on clips of known truth."""

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.engine import Translator
from pnpvideo.errors import OptionError
from pnpvideo.events import Progress, Report, ignore
from pnpvideo.injection import Moment, Until
from pnpvideo.measure.figures import figures, mean
from pnpvideo.measure.footage import FLOORS, Footage, floors
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.peak import Peak
from pnpvideo.measure.published import Published
from pnpvideo.measure.recipes import Measured, check, opened
from pnpvideo.measure.world import SET_HERE, WorldOptions
from pnpvideo.methods.coherence import Coherence
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import random_scene
from pnpvideo.options import TranslateOptions
from pnpvideo.resolved import Resolved
from pnpvideo.store import Store
from pnpvideo.video.clip import Shot


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A published recipe. kind: of Published. inversion: steps up, and as many of the pass back that looks whether the
    inversion holds, if ``reconstructed``; steps: of sampling."""

    kind: str
    inversion: int
    steps: int = 50
    reconstructed: bool = True


YARDSTICK = "TokenFlow, as published"
SAME, SAME_AS = "the same 50 + 50", "TokenFlow, 50 + 50, not reconstructed"
"""Ours and the published way of the same result; "difference" is the largest between their pixels in the first clip."""
PLAIN = {
    YARDSTICK: Plain(kind="flow", inversion=500),
    SAME_AS: Plain(kind="flow", inversion=50, reconstructed=False),
    "PnP each frame, as published": Plain(kind="none", inversion=999),
}
OURS: dict[str, dict[str, Any]] = {
    SAME: {"steps": 50, "solver": "ddim", "spacing": "checkpoint", "inversion_rounds": 0},
    "best": {"preset": "best"},
    "balanced": {"preset": "balanced"},
    "draft": {"preset": "draft"},
}
"""Options that differ from those given."""


def measure_speed(
    options: WorldOptions,
    base: TranslateOptions,
    recipes: Mapping[str, Plain | Mapping[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> Measured:
    """Translate every clip by every recipe, with a loaded model and an empty store, and measure what came out and what
    it took: evaluations and seconds a frame, peak memory, and how many times as fast as YARDSTICK where that ran.

    Published recipes have the guidance, the thresholds, the prompts and the keyframes that ``base`` comes to.
    ``journal``: a file that keeps each finished row, so that an interrupted run goes on where it stopped; rows of one
    table are to be compared only where they come from one machine at rest.
    """
    recipes = {**PLAIN, **OURS} if recipes is None else recipes
    check(
        base, {name: found for name, found in recipes.items() if not isinstance(found, Plain)} or OURS, FLOORS, SET_HERE
    )
    backend = opened(base, options.size)
    judge, base = Judge(options.judge, str(backend.device)), replace(base, size=options.size)
    alike = [option for option in ("preset", "steps", "solver", "spacing") if option in base.stated()]
    for recipe in recipes.values():
        if not isinstance(recipe, Plain):
            if alike and "preset" in recipe:
                raise OptionError(f"{alike[0]} is set, and would make the presets alike; name recipes of your own")
            Resolved.of(replace(base, **recipe), backend)  # what cannot be is said before hours of measuring
        elif backend.schedule(recipe.steps).prediction != "epsilon":
            raise OptionError("the published recipes are for checkpoints that predict noise; name others with --recipe")
    with torch.no_grad():
        ours(backend, replace(base, steps=1), Footage(random_scene(HELD_OUT), "cartoon", "photo", 2, options.size))
    known = Journal.of(journal, backend, replace(options, clips=1, tasks=()), base)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    examples: dict[str, dict[str, list[np.ndarray]]] = {}
    total, done = len(options.tasks) * options.clips * len(recipes), 0
    for task in options.tasks:
        found: dict[str, list[dict[str, float]]] = {}
        shown: dict[str, list[np.ndarray]] = {}
        for number in range(options.clips):
            footage = options.footage(task, number)
            for floor, frames in floors(footage).items():
                found.setdefault(floor, []).append(figures(judge, footage, frames))
                shown.setdefault(floor, frames)
            for name, recipe in recipes.items():
                said = asdict(recipe) if isinstance(recipe, Plain) else dict(recipe)
                row = None if number == 0 else known.get(task, number, sorted(said.items()))
                if row is None:
                    frames, cost = made(backend, base, recipe, footage)
                    shown.setdefault(name, frames)
                    row = {**cost, **figures(judge, footage, frames)}
                    if (name, number) == (SAME, 0) and SAME_AS in shown:
                        row["difference"] = float(np.abs(np.subtract(frames, shown[SAME_AS], dtype=float)).max())
                    known.put(row, task, number, sorted(said.items()))
                found.setdefault(name, []).append(row)
                done += 1
                report(Progress(stage="measure", done=done, total=total, unit="recipe", shot=number))
        means = {
            name: {key: mean([row[key] for row in each if key in row]) for key in each[0]}
            for name, each in found.items()
        }
        if YARDSTICK in means:
            for name in recipes:
                means[name]["ratio"] = means[YARDSTICK]["seconds"] / means[name]["seconds"]
        rows[" to ".join(task)], examples[" to ".join(task)] = means, shown
    protocol = {"benchmark": asdict(options), "translation": asdict(base), "machine": machine(backend.device)}
    return Measured(protocol, rows, examples)


def made(
    backend: Backend, base: TranslateOptions, recipe: Plain | Mapping[str, Any], footage: Footage
) -> tuple[list[np.ndarray], dict[str, float]]:
    """The translated frames, and what they took: evaluations and seconds a frame, peak mebibytes."""
    with counted(backend) as evaluations:
        peak, started = Peak(backend.device), time.perf_counter()
        if isinstance(recipe, Plain):
            frames = plainly(backend, base, recipe, footage)
        else:
            frames = ours(backend, replace(base, **recipe), footage)
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)
        seconds = time.perf_counter() - started
    count = footage.frames
    return frames, {
        "evaluations": sum(evaluations) / count,
        "seconds": seconds / count,
        "mebibytes": peak.bytes() / 2**20,
    }


@contextmanager
def counted(backend: Backend) -> Iterator[list[int]]:
    """The latents of every call of the network in the block."""
    rows: list[int] = []

    def count(module: Any, given: tuple[torch.Tensor, ...]) -> None:
        rows.append(len(given[0]))

    hook = backend.network.register_forward_pre_hook(count)
    try:
        yield rows
    finally:
        hook.remove()


def ours(backend: Backend, options: TranslateOptions, footage: Footage) -> list[np.ndarray]:
    drawings = footage.drawings()
    with tempfile.TemporaryDirectory() as folder:
        asked = replace(options, source_prompt=footage.source_prompt)
        translator = Translator(backend, asked, footage.prompt, Store(Path(folder)), ignore)
        return list(translator.window(Shot(0, drawings.frames), drawings, (footage.size, footage.size)).pictures)


@torch.no_grad()
def plainly(backend: Backend, base: TranslateOptions, recipe: Plain, footage: Footage) -> list[np.ndarray]:
    """By a published recipe, with what ``base`` comes to where the recipe says nothing."""
    resolved = Resolved.of(base, backend)
    plain = Published(backend.network, recipe.kind, base.batch)
    words = [backend.embed(text) for text in (footage.source_prompt, "", footage.prompt)]
    up, down = backend.schedule(recipe.inversion), backend.schedule(recipe.steps)
    clean = backend.encode(np.stack(footage.source))
    states = plain.invert(clean, up, words[0])
    if recipe.reconstructed:
        plain.reconstruct(states[-1], up, words[0])
    coherence = Coherence(kind=recipe.kind, every=base.keyframe_every, batch=base.batch, seed=base.seed)
    keyframes = [coherence.keyframes(len(clean), (0, 0), step) for step in range(recipe.steps)]
    features, attention = (
        sum(Moment(step, recipe.steps, 0) in Until(share) for step in range(recipe.steps))
        for share in (resolved.feature_until, resolved.attention_until)
    )
    level = {timestep: number + 1 for number, timestep in enumerate(up.timesteps)}
    if missing := [timestep for timestep in down.timesteps if timestep not in level]:
        raise OptionError(f"the grid of {recipe.inversion} steps of this checkpoint has no timestep {missing[0]}")
    source = [clean, *(states[level[timestep]] for timestep in down.timesteps)]
    x = plain.sample(source, down, words, resolved.guidance, features, attention, keyframes)
    return list(backend.decode(x))


def machine(device: torch.device) -> dict[str, Any]:
    """What a figure of speed says of where it was measured."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": f"{device.type}: {name}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
    }
