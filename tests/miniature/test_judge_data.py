"""The judge's training data, and the copying of weights between vocabularies."""

from random import Random

import pytest
import torch

from pnpvideo.miniature.art.names import held_out_names, training_names
from pnpvideo.miniature.art.scene import PlainBackdrop
from pnpvideo.miniature.art.sprites import LOOKS
from pnpvideo.miniature.recipe.data import (
    ArtPictures,
    Pictures,
    training_art_instant,
    training_instant,
    training_styles,
)
from pnpvideo.miniature.recipe.judge_data import NAMES_PER_STEP, change_one_art_fact, judge_sample, questions
from pnpvideo.miniature.recipe.warm_start import copy_known_weights
from pnpvideo.miniature.world.questions import QUESTIONS


def without_files(kind: type[Pictures]) -> Pictures:
    return kind.__new__(kind)  # only its captions are used


def test_a_sample_of_the_procedural_world_has_true_answers_and_a_false_caption() -> None:
    sample = judge_sample(without_files(Pictures), 5, 1, Random(0))
    assert sample.answers["style"] == {training_styles(5)[1]}
    assert sample.answers["shape"] == {thing.shape for thing in training_instant(5).things}
    assert sample.caption != sample.false_caption


def test_a_sample_of_drawings_answers_for_name_and_look() -> None:
    for index in range(20):
        sample = judge_sample(without_files(ArtPictures), index, 2, Random(index))
        assert sample.answers == {
            "look": {LOOKS[2]},
            "name": {thing.name.text for thing in training_art_instant(index).things},
        }
        assert all(name in sample.caption for name in sample.answers["name"])


def test_one_fact_of_a_drawing_is_changed() -> None:
    changed = set()
    for seed in range(60):
        scene = training_art_instant(seed)
        false, look = change_one_art_fact(scene, "flat", Random(seed))
        facts = {
            "look": look != "flat",
            "backdrop": false.backdrop != scene.backdrop,
            "name": [thing.name for thing in false.things] != [thing.name for thing in scene.things],
        }
        assert sum(facts.values()) == 1
        changed |= {fact for fact, is_changed in facts.items() if is_changed}
        if (
            facts["backdrop"]
            and isinstance(false.backdrop, PlainBackdrop)
            and isinstance(scene.backdrop, PlainBackdrop)
        ):
            assert false.backdrop.below == scene.backdrop.below
    assert changed == {"look", "backdrop", "name"}


def test_questions_offer_other_names_but_none_that_is_held_out() -> None:
    asked = questions({"cat", "dog"}, Random(0))
    assert len(asked["name"]) == NAMES_PER_STEP and {"cat", "dog"} <= set(asked["name"])
    assert set(asked["name"]) <= {name.text for name in training_names()}
    assert not set(asked["name"]) & {name.text for name in held_out_names()}
    assert set(QUESTIONS) < set(asked) and set(asked["look"]) == set(LOOKS)


def test_rows_of_common_tokens_are_copied() -> None:
    earlier, later = torch.nn.Embedding(3, 2), torch.nn.Embedding(4, 2)
    fresh = later.weight.detach().clone()
    known = copy_known_weights(later, earlier, {"cat": 0, "a": 1, "the": 2, "dog": 3}, {"a": 0, "the": 1, "cat": 2})
    assert known == 3
    assert torch.equal(later.weight[:3], earlier.weight[[2, 0, 1]])
    assert torch.equal(later.weight[3], fresh[3])
    with pytest.raises(ValueError, match="was"):
        copy_known_weights(torch.nn.Linear(3, 5), torch.nn.Linear(2, 5), {"a": 0}, {"a": 0})
