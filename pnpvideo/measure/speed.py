"""The benchmark of speed: our recipes and the published ones in one process, on clips with ground truth."""

import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.coherence.coherence import Place
from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.injection import Moment, Until
from pnpvideo.measure.benchmark import Frames, Measured, Task, check_recipes, load_model, run
from pnpvideo.measure.figures import figures
from pnpvideo.measure.footage import FLOORS, Footage, floors
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.peak import Peak
from pnpvideo.measure.published import Published
from pnpvideo.measure.world import SET_HERE, WorldOptions
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import random_scene
from pnpvideo.option import plain
from pnpvideo.settings.effective import effective
from pnpvideo.settings.options import Options
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
    base: Options,
    recipes: Mapping[str, Plain | Mapping[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> Measured:
    """Translate every clip by every recipe, with a loaded model and an empty store; measure the result and its cost.

    Costs are evaluations and seconds a frame, peak memory, and how many times as fast as YARDSTICK, if that was run.
    Published recipes use the guidance, thresholds, prompts and keyframes of ``base``. journal: a file that keeps
    finished rows, so that an interrupted run continues where it stopped; compare rows only if they come from one
    machine that does nothing else.
    """
    recipes = {**PLAIN, **OURS} if recipes is None else recipes
    ours_alone = {name: recipe for name, recipe in recipes.items() if not isinstance(recipe, Plain)}
    check_recipes(base, ours_alone or OURS, FLOORS, SET_HERE)
    backend = load_model(base, options.size)
    judge, base = Judge(options.judge, str(backend.device)), base.changed({"size": options.size})
    _check_runnable(backend, base, recipes)
    with torch.no_grad():  # warm up: the first call of a network is slower
        ours(backend, base.changed({"steps": 1}), Footage(random_scene(HELD_OUT), "cartoon", "photo", 2, options.size))
    known = Journal.of(journal, backend, replace(options, clips=1, tasks=()), base)
    keys = {
        name: tuple(sorted((asdict(recipe) if isinstance(recipe, Plain) else recipe).items()))
        for name, recipe in recipes.items()
    }

    def task(styles: tuple[str, str]) -> Task:
        def opened(number: int) -> AbstractContextManager[_Clip]:
            return nullcontext(_Clip(backend, judge, options.footage(styles, number), base, recipes, number == 0))

        return Task(" to ".join(styles), opened, keys)

    rows, examples = run([task(styles) for styles in options.tasks], options.clips, known, report)
    for means in rows.values():
        if YARDSTICK in means:
            for name in recipes:
                means[name]["ratio"] = means[YARDSTICK]["seconds"] / means[name]["seconds"]
    protocol = {"benchmark": asdict(options), "translation": plain(base.flat()), "machine": machine(backend.device)}
    return Measured(protocol, rows, examples)


def _check_runnable(backend: Backend, base: Options, recipes: Mapping[str, Plain | Mapping[str, Any]]) -> None:
    """Raise OptionError for recipes that cannot run, before hours of measuring."""
    alike = [option for option in ("preset", "steps", "solver", "spacing") if option in base.stated()]
    for recipe in recipes.values():
        if not isinstance(recipe, Plain):
            if alike and "preset" in recipe:
                raise OptionError(f"{alike[0]} is set, and would make the presets alike; name recipes of your own")
            effective(base.changed(recipe), backend)
        elif backend.schedule(recipe.steps).prediction is not Prediction.EPSILON:
            raise OptionError("the published recipes are for checkpoints that predict noise; name others with --recipe")


@dataclass
class _Clip:
    """One clip of the benchmark of speed; see Subject. compared: add the row "difference" to the recipe SAME."""

    backend: Backend
    judge: Judge
    footage: Footage
    base: Options
    recipes: Mapping[str, Plain | Mapping[str, Any]]
    compared: bool
    published: Frames | None = None

    def references(self) -> dict[str, Frames]:
        return floors(self.footage)

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        return made(self.backend, self.base, self.recipes[recipe], self.footage)

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        found = figures(self.judge, self.footage, frames)
        if name == SAME_AS:
            self.published = frames
        if name == SAME and self.compared and self.published is not None:
            found["difference"] = float(np.abs(np.subtract(frames, self.published, dtype=float)).max())
        return found


def made(
    backend: Backend, base: Options, recipe: Plain | Mapping[str, Any], footage: Footage
) -> tuple[Frames, dict[str, float]]:
    """The translated frames, and what they took: evaluations and seconds a frame, peak mebibytes."""
    with counted(backend) as evaluations:
        peak, started = Peak(backend.device), time.perf_counter()
        if isinstance(recipe, Plain):
            frames = plainly(backend, base, recipe, footage)
        else:
            frames = ours(backend, base.changed(recipe), footage)
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


def ours(backend: Backend, options: Options, footage: Footage) -> Frames:
    drawings = footage.drawings()
    with tempfile.TemporaryDirectory() as folder:
        asked = options.changed({"source_prompt": footage.source_prompt})
        translator = ClipTranslator.of(backend, asked, footage.prompt, Store(Path(folder)), ignore)
        return list(translator.translate(Shot(0, drawings.frames), drawings, (footage.size, footage.size)).pictures)


@torch.no_grad()
def plainly(backend: Backend, base: Options, recipe: Plain, footage: Footage) -> Frames:
    """By a published recipe, with what ``base`` comes to where the recipe says nothing."""
    known = effective(base.changed({"method": "pnp"}), backend)
    pnp, guidance = known.method, known.sampling.guidance
    assert isinstance(pnp, PlugAndPlay) and guidance is not None
    published = Published(backend.network, recipe.kind, base.runtime.batch)
    words = [backend.embed(text) for text in (footage.source_prompt, "", footage.prompt)]
    up, down = backend.schedule(recipe.inversion), backend.schedule(recipe.steps)
    clean = backend.encode(np.stack(footage.source))
    states = published.invert(clean, up, words[0])
    if recipe.reconstructed:
        published.reconstruct(states[-1], up, words[0])
    coherence = base.changed({"coherence": recipe.kind}).coherence
    place = Place(base.sampling.seed)
    keyframes = [coherence.keyframes(len(clean), place, step) for step in range(recipe.steps)]
    features, attention = (
        sum(Moment(step, recipe.steps, 0) in Until(share) for step in range(recipe.steps))
        for share in (pnp.feature_until or 0.0, pnp.attention_until or 0.0)
    )
    level = {timestep: number + 1 for number, timestep in enumerate(up.timesteps)}
    if missing := [timestep for timestep in down.timesteps if timestep not in level]:
        raise OptionError(f"the grid of {recipe.inversion} steps of this checkpoint has no timestep {missing[0]}")
    source = [clean, *(states[level[timestep]] for timestep in down.timesteps)]
    x = published.sample(source, down, words, guidance, features, attention, keyframes)
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
