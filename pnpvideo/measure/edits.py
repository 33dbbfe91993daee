"""The benchmark of edits on the procedural world, where it is known what should change, what should not, and how."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.measure import benchmark
from pnpvideo.measure.benchmark import SPLITS, BenchmarkResult, Frames, check_recipes, check_split, load_model
from pnpvideo.measure.edit_tasks import CLIPS, STILLS, TASKS, EditRecipe, EditTask
from pnpvideo.measure.fidelity import fidelity
from pnpvideo.measure.figures import nanmean
from pnpvideo.measure.footage import Footage
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.judge_measures import attributes_found, structure_distance
from pnpvideo.measure.temporal import warp_error
from pnpvideo.miniature.world.questions import QUESTIONS
from pnpvideo.option import plain
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Shot
from pnpvideo.words.caption import Captioner

SHOWN = 6
"""Pictures of each task that its contact sheet shows; of clips, the first one."""
BASELINES = ("truth", "source", "source, autoencoder")
RESERVED_OPTIONS = (
    *("source_prompt", "captioner", "change", "directions", "mask", "frames", "generate"),
    *("store", "overwrite", "size", "decoder", "track", "allow_partial"),
)
"""Options that the benchmark sets itself."""


@dataclass(frozen=True, kw_only=True)
class EditsOptions:
    """pictures: number of stills, or of clips of several ``frames``, for each task. size: width and height in pixels.
    split: "held-out" or "tuning". judge: see Judge."""

    pictures: int = 200
    frames: int = 1
    size: int = 256
    split: str = "held-out"
    judge: str = "miniature"

    def __post_init__(self) -> None:
        check_split(self.split, "pictures", self.pictures)
        if self.frames < 1:
            raise OptionError(f"frames is {self.frames}; accepted is a whole number from 1")

    def footage(self, task: EditTask, number: int) -> Footage:
        """Picture ``number`` of a task."""
        return task.footage(SPLITS[self.split] + number, self.frames, self.size)


def edit_figures(judge: Judge, task: EditTask, footage: Footage, result: Sequence[np.ndarray]) -> dict[str, float]:
    """Every measure of a result.

    accuracy: share of frames in which the judge finds the new value. found: share of all attributes that are right.
    background: mean error in levels of 255 outside the thing, against the truth; where a thing changes, the truth's
    background is the source's apart from shadows. structure: against the source. psnr: against the truth. warp: of
    clips only.
    """
    answers = judge.classify(result, QUESTIONS[task.attribute])
    outside = [
        np.abs(frame.astype(np.float32) - true)[where].mean()
        for frame, true, where in zip(result, footage.truth, footage.outside, strict=True)
    ]
    found = {
        "accuracy": float(np.mean([answer == task.after for answer in answers])),
        "found": attributes_found(judge, result, footage.scene, footage.target_style),
        "background": nanmean([float(error) for error in outside]),
        "structure": structure_distance(judge.tower, result, footage.source),
        "psnr": fidelity(result, footage.truth, footage.masks)["psnr"],
    }
    return found if len(result) < 2 else {**found, "warp": warp_error(result, footage.motions)}


def measure_edits(
    options: EditsOptions,
    base: Options,
    recipes: Mapping[str, EditRecipe] | None = None,
    tasks: Sequence[EditTask] = TASKS,
    report: Report = ignore,
    journal: Path | None = None,
) -> BenchmarkResult:
    """Edit every picture by every recipe (``base`` with its changes) and measure the result.

    No prompt is given: pictures are captioned. journal: a file of finished figures, with which an interrupted run
    resumes. Raises OptionError for an invalid recipe.
    """
    recipes = (STILLS if options.frames == 1 else CLIPS) if recipes is None else recipes
    check_recipes(base, {name: recipe.changes for name, recipe in recipes.items()}, BASELINES, RESERVED_OPTIONS)
    backend = load_model(base, options.size)
    if backend.captioner is None:
        raise OptionError(f"{base.model}: the benchmark captions its pictures, and this checkpoint has no captioner")
    judge, captioner = Judge(options.judge, str(backend.device)), Captioner(backend.captioner, backend.device)
    known = Journal.of(journal, backend, (replace(options, pictures=1), judge.fingerprint), base)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))

        def table(task: EditTask) -> benchmark.BenchmarkTask:
            @contextmanager
            def open_picture(number: int) -> Iterator[_Picture]:
                footage = options.footage(task, number)
                yield _Picture(
                    backend, judge, task, footage, make_editor(backend, captioner, task, footage, store), base, recipes
                )
                store.clear("trajectory")

            wanted = {name: recipe for name, recipe in recipes.items() if task.local or not recipe.local}
            keys = {name: (tuple(sorted(recipe.changes.items())), recipe.by_prompt) for name, recipe in wanted.items()}
            return benchmark.BenchmarkTask(task.name, open_picture, keys)

        shown = SHOWN if options.frames == 1 else 1
        rows, examples = benchmark.run_benchmark(
            [table(task) for task in tasks], options.pictures, known, report, shown=shown, unit="edit"
        )
    return BenchmarkResult({"benchmark": asdict(options), "translation": plain(base.flat())}, rows, examples)


@dataclass(frozen=True)
class _Picture:
    """One picture or clip of the benchmark; see Subject."""

    backend: Backend
    judge: Judge
    task: EditTask
    footage: Footage
    edit: Callable[[Options, EditRecipe], Frames]
    base: Options
    recipes: Mapping[str, EditRecipe]

    def baselines(self) -> dict[str, Frames]:
        through = self.backend.decode(self.backend.encode(np.stack(self.footage.source)))
        return {"truth": self.footage.truth, "source": self.footage.source, "source, autoencoder": list(through)}

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        return self.edit(self.base, self.recipes[recipe]), {}

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        return edit_figures(self.judge, self.task, self.footage, frames)


def make_editor(
    backend: Backend, captioner: Captioner, task: EditTask, footage: Footage, store: Store
) -> Callable[[Options, EditRecipe], Frames]:
    """A function that edits the footage by a recipe; ``store`` keeps inversions, which the recipes share."""
    caption = captioner.captions([footage.source[footage.frames // 2]])[0]
    drawings = footage.drawings()

    def edit(base: Options, recipe: EditRecipe) -> Frames:
        changes = {**recipe.changes, "source_prompt": caption, "size": footage.size}
        options = base.changed({**changes, "change": None if recipe.by_prompt else task.words})
        prompt = task.replace_words(caption) if recipe.by_prompt else None
        translator = ClipTranslator.of(backend, options, prompt, store, ignore)
        window = translator.translate(Shot(0, drawings.frames), drawings, (footage.size, footage.size))
        translator.finish()
        return list(window.pictures)

    return edit
