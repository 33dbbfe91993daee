from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.errors import InputError, NotFiniteError
from pnpvideo.student.examples import Examples, Motions
from pnpvideo.student.losses import EncoderTower, Weights
from pnpvideo.student.train import Recipe, Training, lesson_of, load_training, save_training

from .conftest import pictures


def same(one: Training, other: Training) -> bool:
    a, b = one.tensors(), other.tensors()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_student_learns_to_invert_colours(examples: Examples, recipe: Recipe) -> None:
    training = Training(replace(recipe, steps=150, rate=4e-3, weights=Weights(perceptual=0, adversarial=0)))
    figures = list(training.steps(examples))
    assert [each.step for each in figures] == list(range(1, 151))
    assert figures[-1].absolute < 0.4 * figures[0].absolute
    x = torch.from_numpy(examples.source).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert (training.average(x) + x).abs().mean() < 0.2


def test_a_training_that_was_stopped_goes_on_bit_for_bit(examples: Examples, recipe: Recipe, tmp_path: Path) -> None:
    """With the discriminator, which begins in the middle."""
    whole = Training(recipe)
    list(whole.steps(examples))
    first = Training(recipe)
    for _ in zip(range(3), first.steps(examples), strict=False):
        pass
    save_training(first, tmp_path / "state.safetensors")
    again = load_training(tmp_path / "state.safetensors", recipe)
    assert again.seconds == first.seconds > 0
    assert again.step == 3 and same(first, again)
    list(again.steps(examples))
    assert again.step == 6 and same(whole, again)


def test_more_steps_go_on_and_another_recipe_begins_anew(examples: Examples, recipe: Recipe, tmp_path: Path) -> None:
    training = Training(recipe)
    list(training.steps(examples))
    save_training(training, tmp_path / "state.safetensors")
    assert load_training(tmp_path / "state.safetensors", replace(recipe, steps=9)).step == 6
    assert load_training(tmp_path / "state.safetensors", replace(recipe, seed=1)).step == 0


def test_another_lesson_begins_anew(examples: Examples, recipe: Recipe, tmp_path: Path) -> None:
    """A state that is of no stated lesson, as of earlier versions, is of another one too."""
    path, lesson = tmp_path / "state.safetensors", lesson_of(examples, None)
    training = Training(recipe, lesson=lesson)
    list(training.steps(examples))
    save_training(training, path)
    assert load_training(path, recipe, lesson=lesson).step == 6
    assert load_training(path, recipe, lesson=lesson_of(replace(examples, target=examples.source), None)).step == 0
    assert load_training(path, recipe).step == 0
    save_training(Training(recipe), path)
    assert load_training(path, recipe, lesson=lesson).lesson == lesson


def test_a_lesson_is_its_pictures_its_motions_and_its_tower(examples: Examples) -> None:
    def tower(seed: int, depth: int = 1) -> EncoderTower:
        torch.manual_seed(seed)
        encoder = torch.nn.Module()
        encoder.conv_in = torch.nn.Conv2d(3, 4, 3)
        encoder.down_blocks = torch.nn.ModuleList([torch.nn.Conv2d(4, 4, 3), torch.nn.Conv2d(4, 4, 3)])
        return EncoderTower(encoder, depth)

    still = Motions(examples.source, examples.source, np.zeros((6, 2, 32, 32), np.float16), np.ones((6, 32, 32), bool))
    lessons = [
        lesson_of(examples, None),
        lesson_of(Examples(examples.source[1:], examples.target[1:]), None),
        lesson_of(Examples(examples.target, examples.source), None),
        lesson_of(replace(examples, motions=still), None),
        lesson_of(examples, tower(0)),
        lesson_of(examples, tower(1)),
        lesson_of(examples, tower(0, depth=2)),
    ]
    assert len(set(lessons)) == len(lessons)
    again = Examples(examples.source.copy(), examples.target.copy())
    assert lesson_of(again, None) == lessons[0] and lesson_of(again, tower(0)) == lessons[4]
    one, other = tower(0), tower(0)
    with torch.no_grad():
        other.encoder.down_blocks[1].weight.add_(1.0)  # type: ignore[index, union-attr]
    assert one.fingerprint == other.fingerprint  # which the first block's features do not depend on


def test_the_seed_decides_the_student(examples: Examples, recipe: Recipe) -> None:
    trained = [Training(replace(recipe, seed=seed)) for seed in (0, 0, 1)]
    for training in trained:
        list(training.steps(examples))
    assert same(trained[0], trained[1]) and not same(trained[0], trained[2])


def test_a_global_seed_is_neither_used_nor_changed(recipe: Recipe) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = Training(recipe)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(4)
    assert same(one, Training(recipe))


def test_the_discriminator_joins_in_later(examples: Examples, recipe: Recipe) -> None:
    figures = list(Training(replace(recipe, adversarial_after=3)).steps(examples))
    assert [each.adversarial > 0 for each in figures] == [False] * 3 + [True] * 3
    assert [each.discriminator > 0 for each in figures] == [False] * 3 + [True] * 3
    alone = Training(replace(recipe, weights=Weights(perceptual=0, adversarial=0)))
    assert all(each.adversarial == each.discriminator == 0 for each in alone.steps(examples))


def test_motion_is_learned_from_where_there_is_some(examples: Examples, recipe: Recipe) -> None:
    still = np.zeros((6, 2, 32, 32), np.float16)
    motions = Motions(examples.source, examples.source, still, np.ones((6, 32, 32), bool))
    steady = replace(examples, motions=motions)
    assert all(
        each.temporal < 4e-3 for each in Training(recipe).steps(steady)
    )  # equal frames, equal results (bfloat16)
    moved = replace(steady, motions=replace(motions, later=pictures(6, seed=9)))
    assert all(each.temporal > 0.01 for each in Training(recipe).steps(moved))
    assert all(0 < each.temporal < 0.5 for each in Training(recipe).steps(examples))  # stills
    without = replace(recipe, weights=Weights(perceptual=0, temporal=0))
    assert all(each.temporal == 0 for each in Training(without).steps(moved))


def test_a_tower_adds_its_loss(examples: Examples, recipe: Recipe) -> None:
    training = Training(replace(recipe, weights=Weights(perceptual=1)))
    assert all(each.perceptual > 0 for each in training.steps(examples, lambda pictures: [pictures]))


def test_infinity_stops_the_training(examples: Examples, recipe: Recipe) -> None:
    with pytest.raises(NotFiniteError, match=r"the student's loss is .* at step"):
        list(Training(replace(recipe, rate=1e30)).steps(examples))


@pytest.mark.parametrize("damage", ["cut", "other", "text"])
def test_a_damaged_state_is_an_error(damage: str, examples: Examples, recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_training(Training(recipe), path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "text":
        path.write_text("not a state")
    else:
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"state\.safetensors is"):
        load_training(path, recipe)
