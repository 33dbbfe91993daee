"""Directions: built from means, bound to their text encoder, added and scaled."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.errors import InputError, ModelError, OptionError
from pnpvideo.words.direction import EditDirection, apply_directions, build_direction, direction_from_templates
from pnpvideo.words.direction_file import load_direction, save_direction
from pnpvideo.words.phrases import extend_to_phrase
from pnpvideo.words.sentences import SentenceSet
from tests.joint import LENGTH


def sides(first: list[str], second: list[str]) -> tuple[SentenceSet, SentenceSet]:
    return SentenceSet("hen", first, {"said twice": 2}), SentenceSet("fox", second)


def test_a_direction_is_the_difference_of_means(backend: StableDiffusion) -> None:
    hens, foxes = [f"hen {n}" for n in range(7)], [f"fox {n}" for n in range(5)]
    heard: list[int] = []
    found = build_direction(backend.text, *sides(hens, foxes), progress=heard.append, batch=3)
    means = [torch.stack([backend.embed(text).tokens for text in texts]).mean(0) for texts in (hens, foxes)]
    assert torch.allclose(found.delta, means[1] - means[0], atol=1e-5)
    assert heard == [3, 6, 7, 10, 12]
    assert found.counts == {"hen": {"kept": 7, "said twice": 2}, "fox": {"kept": 5}}
    with pytest.raises(OptionError, match="no sentence says 'fox'"):
        build_direction(backend.text, *sides(hens, []))


def test_directions_add_and_scale(backend: StableDiffusion) -> None:
    here, there = (
        EditDirection(delta=torch.full((20, 16), value), source="a", target="b", encoder="") for value in (1.0, 10.0)
    )
    start = backend.embed("a hen")
    moved = apply_directions(backend.text, "a hen", start, [(here, 1.2), (there, -0.5)])
    assert torch.allclose(moved.tokens, start.tokens + 1.2 - 5.0, atol=1e-6) and moved.pooled is None
    assert apply_directions(backend.text, "a hen", start, []).equals(start)


def test_a_direction_enters_at_its_word(backend: StableDiffusion) -> None:
    """By hand: a token is a letter here, and the text tower sees only what stands before."""
    hens, foxes = ["a hen sits", "one old hen"], ["a fox sits", "one old fox"]
    built, text = build_direction(backend.text, *sides(hens, foxes)), "the big hen eats"
    assert built.word is not None and built.end is not None
    hen, fox = ([backend.embed(sentence).tokens for sentence in side] for side in (hens, foxes))
    first = (fox[0][2] - hen[0][2] + fox[1][7] - hen[1][7]) / 2  # after the start and "a", and after "oneold"
    assert torch.allclose(built.word[0], first, atol=1e-5)
    later = fox[0][5] - hen[0][5]  # the "s" of "sits": the other sentence has ended
    assert torch.allclose(built.word[3], later, atol=1e-5)
    last = (fox[0][9] - hen[0][9] + fox[1][10] - hen[1][10]) / 2
    assert torch.allclose(built.end[0], last, atol=1e-5)
    plain = backend.embed(text)
    found, published = (
        apply_directions(backend.text, text, plain, [(built, 2.0)], where).tokens - plain.tokens
        for where in ("word", "start")
    )
    assert torch.allclose(published, 2 * built.delta, atol=1e-5)
    assert found[:7].abs().max() == 0 and torch.allclose(found[7], 2 * first, atol=1e-5)  # after "thebig"
    assert torch.allclose(found[14], 2 * last, atol=1e-5)  # the end of twelve more letters
    cow = backend.embed("a cow")
    other = apply_directions(backend.text, "a cow", cow, [(built, 1.0)]).tokens - cow.tokens
    assert torch.allclose(other, built.delta, atol=1e-5)  # where the word is not said


@pytest.mark.parametrize("prompt", ["a hen", "so a hen", "a hen sits on it", "hen"])
def test_a_direction_enters_at_its_word_for_each_encoder(prompt: str, joint_backend: StableDiffusion3) -> None:
    """By hand: CLIP has a token for the start and one a letter, T5 one where a word begins and one a letter."""
    text = joint_backend.text
    built = build_direction(text, *sides(["a hen"], ["a fox"]))
    hen, fox = (joint_backend.embed(sentence).tokens for sentence in ("a hen", "a fox"))
    plain = joint_backend.embed(prompt)
    found = apply_directions(text, prompt, plain, [(built, 1.0)]).tokens - plain.tokens
    words = prompt.split()
    index = words.index("hen")
    clip_word, t5_word = 1 + len("".join(words[:index])), sum(1 + len(word) for word in words[:index])
    clip_end, t5_end = 1 + len("".join(words)), sum(1 + len(word) for word in words)
    for rows, first, stop, at, ends, there, then in (
        (slice(clip_word, clip_word + 3), 0, LENGTH, clip_word, clip_end, 2, 5),
        (slice(LENGTH + t5_word, LENGTH + t5_word + 4), LENGTH, text.length, LENGTH + t5_word, LENGTH + t5_end, 2, 6),
    ):
        true = fox[first:stop] - hen[first:stop]
        assert not found[first:at].any()
        assert torch.allclose(found[rows], true[there : there + rows.stop - rows.start], atol=1e-5)
        end, length = ends - first, stop - first
        shared = length - max(end, then)
        assert torch.allclose(found[ends : ends + shared], true[then : then + shared], atol=1e-5)
    if prompt == "a hen":
        assert torch.allclose(found[:LENGTH], fox[:LENGTH] - hen[:LENGTH], atol=1e-5)


def test_an_encoder_that_does_not_read_the_word_gets_the_difference_from_the_start(
    joint_backend: StableDiffusion3,
) -> None:
    """CLIP has read its last token before the word comes, T5 has not."""
    text, prompt = joint_backend.text, 20 * "b" + " hen"
    built = build_direction(text, *sides(["a hen"], ["a fox"]))
    plain = joint_backend.embed(prompt)
    found = apply_directions(text, prompt, plain, [(built, 1.0)]).tokens - plain.tokens
    assert torch.allclose(found[:LENGTH], built.delta[:LENGTH], atol=1e-5) and built.word is not None
    assert not found[LENGTH : LENGTH + 21].any()
    assert torch.allclose(found[LENGTH + 21 : LENGTH + 25], built.word[LENGTH : LENGTH + 4], atol=1e-5)


def test_at_its_word_a_direction_is_nearer_to_the_word_itself() -> None:
    backend = StableDiffusion("miniature", torch.device("cpu"), torch.float32)
    caption, wanted = "a cartoon of a red ball on grass at sunset", "a cartoon of a blue ball on grass at sunset"
    concepts, plain = extend_to_phrase(caption, "red", "blue"), backend.embed(caption)
    assert concepts == ("red ball", "blue ball")
    built = direction_from_templates(backend.text, *concepts)
    published = direction_from_templates(backend.text, "red", "blue")
    sought = backend.embed(wanted).tokens
    off = {
        where: float((apply_directions(backend.text, caption, plain, [(which, 1.0)], where).tokens - sought).norm())
        for where, which in (("word", built), ("start", published))
    }
    nothing = float((plain.tokens - sought).norm())
    assert off["word"] < 0.9 * off["start"] and off["start"] < 0.5 * nothing, (off, nothing)


def test_a_pooled_part_moves_along_its_own_mean(xl_backend: StableDiffusion, tmp_path: Path) -> None:
    hens, foxes = ["a hen sits", "one old hen"], ["a fox sits", "one old fox"]
    built = build_direction(xl_backend.text, *sides(hens, foxes))
    means = [xl_backend.text.embeds(side).pooled.mean(0) for side in (hens, foxes)]  # type: ignore[union-attr]
    assert built.pooled is not None and torch.allclose(built.pooled, means[1] - means[0], atol=1e-5)
    plain = xl_backend.embed("the big hen eats")
    moved = apply_directions(xl_backend.text, "the big hen eats", plain, [(built, 2.0)])
    assert plain.pooled is not None and moved.pooled is not None and not torch.equal(moved.tokens, plain.tokens)
    assert torch.allclose(moved.pooled - plain.pooled, 2 * built.pooled, atol=1e-5)
    save_direction(built, tmp_path / "d.safetensors")
    read = load_direction(tmp_path / "d.safetensors")
    assert read.pooled is not None and torch.equal(read.pooled, built.pooled)
    text = xl_backend.text
    read.check_encoder(text.fingerprint, (text.length, text.width), text.pooled_width)
    for pooled, says in ((None, "has none"), (7, "has 7")):
        with pytest.raises(ModelError, match=f"pooled part of 12 channels, this model's text {says}"):
            read.check_encoder(text.fingerprint, (text.length, text.width), pooled)
    alone = replace(built, pooled=None)  # as in files of the reference project
    assert torch.equal(apply_directions(text, "a hen", plain, [(alone, 1.0)]).pooled, plain.pooled)  # type: ignore[arg-type]
    save_direction(replace(built, pooled=torch.zeros(2, 2)), tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="does not hold finite tensors"):
        load_direction(tmp_path / "bad.safetensors")
