"""The loop of the benchmarks, on a subject without a model."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.errors import OptionError
from pnpvideo.events import Event, Progress
from pnpvideo.measure.benchmark import (
    BenchmarkResult,
    BenchmarkTask,
    Frames,
    check_recipes,
    check_split,
    load_model,
    run_benchmark,
)
from pnpvideo.measure.journal import Journal
from pnpvideo.settings.options import Options


class Grey:
    """Clip ``number``: a recipe's result is a grey frame, whose level is the number."""

    def __init__(self, number: int, made: list[tuple[int, str]]) -> None:
        self.number, self.made = number, made

    def baselines(self) -> Mapping[str, Frames]:
        return {"black": [np.zeros((2, 2, 3), np.uint8)]}

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        self.made.append((self.number, recipe))
        return [np.full((2, 2, 3), self.number, np.uint8)], {"seconds": 0.5}

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        found = {"level": float(frames[0].mean())}
        return found if self.number else {**found, "first": 1.0, "undefined": float("nan")}


def task(made: list[tuple[int, str]], **recipes: str) -> BenchmarkTask:
    return BenchmarkTask("grey", lambda number: nullcontext(Grey(number, made)), recipes)


def test_figures_are_means_over_the_clips_that_have_them() -> None:
    events: list[Event] = []
    rows, examples = run_benchmark([task([], a="1", b="2")], 3, Journal(None), events.append, shown=2, unit="recipe")
    assert rows["grey"]["a"]["level"] == 1 and rows["grey"]["a"]["seconds"] == 0.5
    assert rows["grey"]["a"]["first"] == 1 and np.isnan(rows["grey"]["a"]["undefined"])
    assert "seconds" not in rows["grey"]["black"]
    assert [int(frame[0, 0, 0]) for frame in examples["grey"]["b"]] == [0, 1]
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(event, Progress) and event.total == 6 and event.unit == "recipe" for event in events)


def test_only_the_shown_clips_and_changed_recipes_are_made_again(tmp_path: Path) -> None:
    path, made = tmp_path / "journal.jsonl", []  # type: ignore[var-annotated]
    first, _ = run_benchmark([task(made, a="1", b="2")], 3, Journal(path), lambda event: None)
    assert len(made) == 6
    made.clear()
    again, _ = run_benchmark([task(made, a="1", b="changed")], 3, Journal(path), lambda event: None)
    assert made == [(0, "a"), (0, "b"), (1, "b"), (2, "b")]
    assert again["grey"]["a"]["level"] == first["grey"]["a"]["level"]


def test_the_result_is_strict_json_and_a_table_for_each_task() -> None:
    result = BenchmarkResult({"path": Path("x")}, {"one": {"a": {"psnr": float("inf"), "match": 2.0}}}, {})
    found = json.loads(result.json())
    assert found == {"protocol": {"path": "x"}, "figures": {"one": {"a": {"psnr": None, "match": 2.0}}}}
    assert result.markdown().startswith("### one\n\n| recipe |")


def test_an_unknown_split_and_too_many_clips_are_refused() -> None:
    check_split("tuning", "clips", 1)
    with pytest.raises(OptionError, match="split is 'all'; accepted: held-out, tuning"):
        check_split("all", "clips", 1)
    for clips in (0, 10_000_000):
        with pytest.raises(OptionError, match=f"pictures is {clips}"):
            check_split("tuning", "pictures", clips)


def test_recipes_without_content_or_with_reserved_names_and_options_are_refused() -> None:
    base = Options.from_flat({"steps": 2})
    check_recipes(base, {"a": {"method": "pnp"}}, ["truth"], ["size"])
    for recipes, message in (
        ({}, "there is no recipe"),
        ({"truth": {}}, "a recipe is called 'truth', as a baseline is; not accepted: truth"),
        ({"a": {"size": 64}}, "a: size is set, which the benchmark itself sets"),
    ):
        with pytest.raises(OptionError, match=message):
            check_recipes(base, recipes, ["truth"], ["size"])
    with pytest.raises(OptionError, match="the options of all recipes: steps is set"):
        check_recipes(base, {"a": {}}, [], ["steps"])


def test_a_size_that_is_no_multiple_of_the_models_cells_is_refused() -> None:
    with pytest.raises(OptionError, match="size is 100; accepted are multiples of 8"):
        load_model(Options.from_flat({"device": "cpu"}), 100)
