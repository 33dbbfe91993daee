"""What the judge is taught of a picture, and how a new edition begins with an earlier one's words."""

from random import Random

import pytest
import torch

from pnpvideo.miniature.art.names import held_out_names, trained_names
from pnpvideo.miniature.art.scene import Plain
from pnpvideo.miniature.art.sprites import LOOKS
from pnpvideo.miniature.recipe.data import ArtPictures, Pictures, art_moment, moment, styles_of
from pnpvideo.miniature.recipe.inherit import inherit
from pnpvideo.miniature.recipe.lessons import NAMES_ASKED, art_lie, lesson, questions
from pnpvideo.miniature.world.questions import QUESTIONS


def without_files(kind: type[Pictures]) -> Pictures:
    return kind.__new__(kind)  # only its words are asked for


def test_a_lesson_of_the_procedural_world_answers_its_questions() -> None:
    taught = lesson(without_files(Pictures), 5, 1, Random(0))
    assert taught.truths["style"] == {styles_of(5)[1]}
    assert taught.truths["shape"] == {thing.shape for thing in moment(5).things}
    assert taught.caption != taught.lie


def test_a_lesson_of_drawings_answers_for_name_and_look() -> None:
    for index in range(20):
        taught = lesson(without_files(ArtPictures), index, 2, Random(index))
        assert taught.truths == {"look": {LOOKS[2]}, "name": {thing.name.text for thing in art_moment(index).things}}
        assert all(name in taught.caption for name in taught.truths["name"])


def test_a_lie_about_drawings_changes_one_fact() -> None:
    changed = set()
    for seed in range(60):
        scene = art_moment(seed)
        false, look = art_lie(scene, "flat", Random(seed))
        facts = {
            "look": look != "flat",
            "backdrop": false.backdrop != scene.backdrop,
            "name": [thing.name for thing in false.things] != [thing.name for thing in scene.things],
        }
        assert sum(facts.values()) == 1
        changed |= {fact for fact, is_changed in facts.items() if is_changed}
        if facts["backdrop"] and isinstance(false.backdrop, Plain) and isinstance(scene.backdrop, Plain):
            assert false.backdrop.below == scene.backdrop.below
    assert changed == {"look", "backdrop", "name"}


def test_names_are_asked_with_others_beside_them_and_none_that_is_held_out() -> None:
    asked = questions({"cat", "dog"}, Random(0))
    assert len(asked["name"]) == NAMES_ASKED and {"cat", "dog"} <= set(asked["name"])
    assert set(asked["name"]) <= {name.text for name in trained_names()}
    assert not set(asked["name"]) & {name.text for name in held_out_names()}
    assert set(QUESTIONS) < set(asked) and set(asked["look"]) == set(LOOKS)


def test_words_that_both_editions_know_keep_their_rows() -> None:
    earlier, later = torch.nn.Embedding(3, 2), torch.nn.Embedding(4, 2)
    fresh = later.weight.detach().clone()
    known = inherit(later, earlier, {"cat": 0, "a": 1, "the": 2, "dog": 3}, {"a": 0, "the": 1, "cat": 2})
    assert known == 3
    assert torch.equal(later.weight[:3], earlier.weight[[2, 0, 1]])
    assert torch.equal(later.weight[3], fresh[3])
    with pytest.raises(ValueError, match="was"):
        inherit(torch.nn.Linear(3, 5), torch.nn.Linear(2, 5), {"a": 0}, {"a": 0})
