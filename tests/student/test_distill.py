import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from safetensors.torch import load_file, save_file

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Event, Notice, Progress, ignore
from pnpvideo.miniature import WEIGHTS
from pnpvideo.settings.options import Options
from pnpvideo.student.distill import Distillation, autoencoder_tower, distill, split, train
from pnpvideo.student.examples import Drawing, Examples
from pnpvideo.student.losses import EncoderTower
from pnpvideo.student.network import SHAPES
from pnpvideo.student.pairs import Filter, Pair
from pnpvideo.student.student_file import load_student
from pnpvideo.student.train import Recipe

from .conftest import pictures


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, pixels in enumerate(pictures(3, (64, 64))):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def options(checkpoint: Path, tmp_path: Path) -> Options:
    stated = {"model": str(checkpoint), "source_prompt": "a ball", "steps": 2, "store": tmp_path / "store"}
    return Options.from_flat(stated)


@pytest.fixture
def how(recipe: Recipe) -> Distillation:
    return Distillation(pairs=3, recipe=recipe, filter=Filter(least_gain=-2))


def test_a_student_is_distilled_from_a_folder(
    inputs: Path, options: Options, how: Distillation, tmp_path: Path
) -> None:
    events: list[Event] = []
    made = distill(inputs, "a fox", tmp_path / "student", options, how, report=events.append)
    again = load_student(tmp_path / "student")
    assert again.card == made.card and again.card.about == "a fox" and again.card.size == (64, 64)
    training, figures = again.card.training, again.card.figures
    assert (training["pairs"], training["accepted"], figures["held_out"]) == (3, 3, 1)
    assert json.loads(json.dumps(training["recipe"])) == json.loads(json.dumps(how.recipe.plain()))
    assert set(figures) == {"held_out", "psnr_to_teacher", "gain", "gain_of_teacher", "sharpness_to_teacher"}
    stages = [event.stage for event in events if isinstance(event, Progress)]
    assert stages.count("teach") == 3 and stages.count("train") == 6
    assert "3 of 3 pairs pass the filter" in [event.message for event in events if isinstance(event, Notice)]


def test_a_run_that_was_stopped_uses_its_pairs_and_its_training(
    inputs: Path, options: Options, how: Distillation, tmp_path: Path
) -> None:
    """Stopped in the middle of each stage, the student is that of a run that was not, bit for bit."""
    whole = distill(inputs, "a fox", tmp_path / "whole", options, how)

    class Stop(Exception):
        pass

    def stop_at(stage: str, done: int) -> Any:
        def report(event: Event) -> None:
            if isinstance(event, Progress) and (event.stage, event.done) == (stage, done):
                raise Stop

        return report

    for stage, done in (("teach", 2), ("train", 4)):
        with pytest.raises(Stop):
            distill(inputs, "a fox", tmp_path / "again", options, how, report=stop_at(stage, done))
        assert not (tmp_path / "again").exists()
    stages: list[str] = []
    resumed = distill(
        inputs,
        "a fox",
        tmp_path / "again",
        options,
        how,
        report=lambda event: stages.append(event.stage) if isinstance(event, Progress) else None,
    )
    assert "sample" not in stages
    weights, others = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_another_prompt_into_the_same_output_is_another_student(
    inputs: Path, options: Options, how: Distillation, tmp_path: Path
) -> None:
    """The finished training of the first prompt is not taken for that of the second."""
    first = distill(inputs, "a fox", tmp_path / "student", options, how)
    events: list[Event] = []
    replacing = replace(options, overwrite=True)
    second = distill(inputs, "zzz qq", tmp_path / "student", replacing, how, report=events.append)
    fresh = distill(inputs, "zzz qq", tmp_path / "fresh", options, how)
    one, two, three = (student.network.state_dict() for student in (first, second, fresh))
    assert all(torch.equal(two[name], three[name]) for name in two)
    assert not all(torch.equal(one[name], two[name]) for name in one)
    assert [event.stage for event in events if isinstance(event, Progress)].count("train") == 6
    told = [event.message for event in events if isinstance(event, Notice)]
    assert "training begins anew: the saved one is of other examples or another recipe" in told
    events.clear()
    distill(inputs, "zzz qq", tmp_path / "student", replacing, how, report=events.append)
    assert not [event for event in events if isinstance(event, Progress) and event.stage == "train"]


def test_pairs_of_another_judge_are_made_anew(
    inputs: Path, options: Options, how: Distillation, tmp_path: Path
) -> None:
    """The judge's folder counts by its contents: moved, it is the same judge; changed at its place, it is another."""
    judge = Path(shutil.copytree(WEIGHTS / "judge", tmp_path / "judge"))

    def pairs(model: Path) -> int:
        """How many the journal has after a run."""
        chosen = replace(how, judge=str(model), recipe=replace(how.recipe, steps=1))
        distill(inputs, "a fox", tmp_path / "student", replace(options, overwrite=True), chosen)
        return len((tmp_path / "student-work" / "pairs.jsonl").read_text("utf-8").splitlines())

    assert pairs(judge) == 3
    moved = judge.rename(tmp_path / "moved")
    assert pairs(moved) == 3
    weights = load_file(moved / "model.safetensors")
    save_file({name: value * 1.01 for name, value in weights.items()}, moved / "model.safetensors", {"format": "pt"})
    assert pairs(moved) == 6


def test_training_is_saved_and_goes_on(examples: Examples, recipe: Recipe, tmp_path: Path) -> None:
    train(examples, replace(recipe, steps=3), tmp_path / "state.safetensors", None)
    events: list[Event] = []
    resumed = train(examples, recipe, tmp_path / "state.safetensors", None, events.append)
    assert [event.message for event in events if isinstance(event, Notice)] == ["training goes on at step 3"]
    whole = train(examples, recipe, tmp_path / "other.safetensors", None)
    wanted, found = whole.tensors(), resumed.tensors()
    assert wanted.keys() == found.keys() and all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_no_pair_left_is_an_error_and_keeps_the_pairs(
    inputs: Path, options: Options, how: Distillation, tmp_path: Path
) -> None:
    strict = replace(how, filter=Filter(least_gain=1.9))
    with pytest.raises(InputError, match=r"none of 3 pairs passes the filter"):
        distill(inputs, "a fox", tmp_path / "student", options, strict)
    assert not (tmp_path / "student").exists()
    assert len((tmp_path / "student-work" / "pairs.jsonl").read_text("utf-8").splitlines()) == 3


def test_a_student_that_exists_is_not_replaced_and_nothing_is_computed(
    inputs: Path, options: Options, how: Distillation, tmp_path: Path
) -> None:
    (tmp_path / "student").mkdir()
    with pytest.raises(OptionError, match="exists; name another output, or replace it: -y"):
        distill(inputs, "a fox", tmp_path / "student", options, how)
    assert not (tmp_path / "student-work").exists()


@pytest.mark.parametrize(("changes", "told"), [({"pairs": 1}, "pairs is 1"), ({"held_out": 1.0}, "held_out is 1.0")])
def test_values_out_of_range_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        Distillation(**changes)


def test_held_out_pairs_are_spread_and_not_learned() -> None:
    pairs = [Pair(name=str(number), source="", result="", text="", gain=0) for number in range(20)]
    learned, held_out = split(pairs, 0.2)
    assert [pair.name for pair in held_out] == ["0", "6", "13", "19"] and len(learned) == 16
    assert not set(pair.name for pair in learned) & set(pair.name for pair in held_out)
    assert [len(part) for part in split(pairs[:3], 0.9)] == [1, 2]


def test_frames_of_one_clip_are_held_out_together() -> None:
    """A student that has seen the neighbours of a frame knows nearly all of it."""

    def named(names: list[str]) -> list[Pair]:
        return [Pair(name=name, source="", result="", text="", gain=0) for name in names]

    pairs = named([*(f"{clip}.mp4#{frame}" for clip in "abcd" for frame in (0, 4, 9)), "still.png"])
    learned, held_out = split(pairs, 0.2)
    assert [pair.name for pair in held_out] == ["a.mp4#0", "a.mp4#4", "a.mp4#9"] and len(learned) == 10
    learned, held_out = split(named(["a.mp4#0", "a.mp4#4", "a.mp4#9"]), 0.2)
    assert (len(learned), len(held_out)) == (2, 1)


def test_one_pair_is_not_enough() -> None:
    pairs = [Pair(name="0", source="", result="", text="", gain=0)]
    with pytest.raises(InputError, match="one pair is left"):
        split(pairs[:1], 0.2)


def test_the_folder_of_work_can_be_named(inputs: Path, options: Options, how: Distillation, tmp_path: Path) -> None:
    distill(inputs, "a fox", tmp_path / "student", options, how, work=tmp_path / "mine", report=ignore)
    assert (tmp_path / "mine" / "pairs.jsonl").exists() and not (tmp_path / "student-work").exists()


def test_training_is_where_the_model_is_with_the_features_of_its_autoencoder(
    examples: Examples, recipe: Recipe, checkpoint: Path, tmp_path: Path
) -> None:
    """The device without contents stands in for a GPU: both are there, and autocast does not know it."""
    backend = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)
    seeing = replace(recipe, weights=replace(recipe.weights, perceptual=1.0))
    found = autoencoder_tower(backend, "meta")
    assert found is not None and backend.vae.device.type == "cpu"

    class Tower(EncoderTower):
        fingerprint = "of no contents"

    tower = Tower(found.encoder)
    assert {value.device.type for value in tower.encoder.parameters()} == {"meta"}
    with pytest.raises(RuntimeError, match="autocast device_type 'meta'"):
        train(examples, seeing, tmp_path / "state", tower, device="meta")


def test_a_tiny_autoencoder_has_no_features_to_learn_from() -> None:
    assert autoencoder_tower(SimpleNamespace(vae=AutoencoderTiny())) is None


def test_a_student_of_any_size_is_distilled(inputs: Path, options: Options, how: Distillation, tmp_path: Path) -> None:
    small = replace(options, sampling=replace(options.sampling, size=72))
    wider = replace(how, recipe=replace(how.recipe, shape=SHAPES["small"], drawing=Drawing(batch=2)))
    assert distill(inputs, "a fox", tmp_path / "student", small, wider).card.size == (72, 72)
