"""The benchmark of speed: our recipes and the published ones in one process, on clips with ground truth."""

import os
import platform
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
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
from pnpvideo.measure.benchmark import BenchmarkResult, BenchmarkTask, Frames, check_recipes, load_model, run_benchmark
from pnpvideo.measure.evaluations import count_evaluations
from pnpvideo.measure.figures import measure_all
from pnpvideo.measure.footage import BASELINES, Footage, baselines
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.peak import PeakMemory
from pnpvideo.measure.reference import ReferencePipeline
from pnpvideo.measure.world import RESERVED_OPTIONS, WorldOptions
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import random_scene
from pnpvideo.option import plain
from pnpvideo.settings.effective import effective
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Shot


@dataclass(frozen=True, kw_only=True)
class PublishedRecipe:
    """A recipe of ReferencePipeline.

    kind: see ReferencePipeline. inversion: steps of the inversion. steps: of sampling. reconstruct: also sample back in
    ``inversion`` steps to check the inversion, as published.
    """

    kind: str
    inversion: int
    steps: int = 50
    reconstruct: bool = True


PUBLISHED_TOKENFLOW = "TokenFlow, as published"
SAME_STEPS, SAME_STEPS_PUBLISHED = "the same 50 + 50", "TokenFlow, 50 + 50, not reconstructed"
"""Two recipes with the same result; "difference" is the largest difference of their pixels in the first clip."""
PUBLISHED_RECIPES = {
    PUBLISHED_TOKENFLOW: PublishedRecipe(kind="flow", inversion=500),
    SAME_STEPS_PUBLISHED: PublishedRecipe(kind="flow", inversion=50, reconstruct=False),
    "PnP each frame, as published": PublishedRecipe(kind="none", inversion=999),
}
OUR_RECIPES: dict[str, dict[str, Any]] = {
    SAME_STEPS: {"steps": 50, "solver": "ddim", "spacing": "checkpoint", "inversion_rounds": 0},
    "best": {"preset": "best"},
    "balanced": {"preset": "balanced"},
    "draft": {"preset": "draft"},
}
"""Changes to the base options."""


def measure_speed(
    options: WorldOptions,
    base: Options,
    recipes: Mapping[str, PublishedRecipe | Mapping[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> BenchmarkResult:
    """Translate every clip by every recipe, with a loaded model and an empty store; measure the results and their cost.

    Costs are evaluations and seconds a frame, peak memory, and the ratio of the time of PUBLISHED_TOKENFLOW, if it is
    among the recipes, to the recipe's. Published recipes use the guidance, thresholds, prompts and keyframes of
    ``base``. journal: a file of finished figures, with which an interrupted run resumes; compare rows only if they were
    measured on one machine that does nothing else.
    """
    recipes = {**PUBLISHED_RECIPES, **OUR_RECIPES} if recipes is None else recipes
    option_tables = {name: recipe for name, recipe in recipes.items() if not isinstance(recipe, PublishedRecipe)}
    check_recipes(base, option_tables or OUR_RECIPES, BASELINES, RESERVED_OPTIONS)
    backend = load_model(base, options.size)
    judge, base = Judge(options.judge, str(backend.device)), base.changed({"size": options.size})
    _check_runnable(backend, base, recipes)
    with torch.no_grad():  # warm up: the first call of a network is slower
        translate_ours(
            backend, base.changed({"steps": 1}), Footage(random_scene(HELD_OUT), "cartoon", "photo", 2, options.size)
        )
    known = Journal.of(journal, backend, (replace(options, clips=1, tasks=()), judge.fingerprint), base)
    keys = {
        name: tuple(sorted((asdict(recipe) if isinstance(recipe, PublishedRecipe) else recipe).items()))
        for name, recipe in recipes.items()
    }

    def task(styles: tuple[str, str]) -> BenchmarkTask:
        def open_clip(number: int) -> AbstractContextManager[_Clip]:
            return nullcontext(_Clip(backend, judge, options.footage(styles, number), base, recipes, number == 0))

        return BenchmarkTask(" to ".join(styles), open_clip, keys)

    rows, examples = run_benchmark([task(styles) for styles in options.tasks], options.clips, known, report)
    for means in rows.values():
        if PUBLISHED_TOKENFLOW in means:
            for name in recipes:
                means[name]["ratio"] = means[PUBLISHED_TOKENFLOW]["seconds"] / means[name]["seconds"]
    protocol = {
        "benchmark": asdict(options),
        "translation": plain(base.flat()),
        "machine": machine_info(backend.device),
    }
    return BenchmarkResult(protocol, rows, examples)


def _check_runnable(
    backend: Backend, base: Options, recipes: Mapping[str, PublishedRecipe | Mapping[str, Any]]
) -> None:
    """Raise OptionError for recipes that cannot run, before hours of measuring."""
    overriding = [option for option in ("preset", "steps", "solver", "spacing") if option in base.stated()]
    for recipe in recipes.values():
        if not isinstance(recipe, PublishedRecipe):
            if overriding and "preset" in recipe:
                raise OptionError(f"{overriding[0]} is set, and would make the presets alike; name recipes of your own")
            effective(base.changed(recipe), backend)
        elif backend.schedule(recipe.steps).prediction is not Prediction.EPSILON:
            raise OptionError("the published recipes are for checkpoints that predict noise; name others with --recipe")


@dataclass
class _Clip:
    """One clip of the benchmark; see Subject. compares: measure the "difference" of SAME_STEPS."""

    backend: Backend
    judge: Judge
    footage: Footage
    base: Options
    recipes: Mapping[str, PublishedRecipe | Mapping[str, Any]]
    compares: bool
    published: Frames | None = None

    def baselines(self) -> dict[str, Frames]:
        return baselines(self.footage)

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        return translate_timed(self.backend, self.base, self.recipes[recipe], self.footage)

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        found = measure_all(self.judge, self.footage, frames)
        if name == SAME_STEPS_PUBLISHED:
            self.published = frames
        if name == SAME_STEPS and self.compares and self.published is not None:
            found["difference"] = float(np.abs(np.subtract(frames, self.published, dtype=float)).max())
        return found


def translate_timed(
    backend: Backend, base: Options, recipe: PublishedRecipe | Mapping[str, Any], footage: Footage
) -> tuple[Frames, dict[str, float]]:
    """The translated frames and their cost: evaluations and seconds a frame, peak mebibytes."""
    with count_evaluations(backend) as evaluations:
        peak, started = PeakMemory(backend.device), time.perf_counter()
        if isinstance(recipe, PublishedRecipe):
            frames = translate_published(backend, base, recipe, footage)
        else:
            frames = translate_ours(backend, base.changed(recipe), footage)
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)
        seconds = time.perf_counter() - started
    count = footage.frames
    return frames, {
        "evaluations": sum(evaluations) / count,
        "seconds": seconds / count,
        "mebibytes": peak.bytes() / 2**20,
    }


def translate_ours(backend: Backend, options: Options, footage: Footage) -> Frames:
    """Translate by the engine, with an empty store."""
    drawings = footage.drawings()
    with tempfile.TemporaryDirectory() as folder:
        options = options.changed({"source_prompt": footage.source_prompt})
        translator = ClipTranslator.of(backend, options, footage.prompt, Store(Path(folder)), ignore)
        return list(translator.translate(Shot(0, drawings.frames), drawings, (footage.size, footage.size)).pictures)


@torch.no_grad()
def translate_published(backend: Backend, base: Options, recipe: PublishedRecipe, footage: Footage) -> Frames:
    """Translate by a published recipe; guidance, thresholds and keyframes are those of ``base``.

    Raises OptionError if the timesteps of sampling are not among those of the inversion.
    """
    known = effective(base.changed({"method": "pnp"}), backend)
    pnp, guidance = known.method, known.sampling.guidance
    assert isinstance(pnp, PlugAndPlay) and guidance is not None
    pipeline = ReferencePipeline(backend.network, recipe.kind, base.runtime.batch)
    words = [backend.embed(text) for text in (footage.source_prompt, "", footage.prompt)]
    up, down = backend.schedule(recipe.inversion), backend.schedule(recipe.steps)
    clean = backend.encode(np.stack(footage.source))
    states = pipeline.invert(clean, up, words[0])
    if recipe.reconstruct:
        pipeline.reconstruct(states[-1], up, words[0])
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
    x = pipeline.sample(source, down, words, guidance, features, attention, keyframes)
    return list(backend.decode(x))


def machine_info(device: torch.device) -> dict[str, Any]:
    """Device, cores, threads and versions of libraries, to be read with figures of speed."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": f"{device.type}: {name}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
    }
