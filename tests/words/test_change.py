"""The direction of a change: about its phrase, and kept in the store."""

from pathlib import Path

import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.events import Event, Progress
from pnpvideo.store import Store
from pnpvideo.words.change import ChangeDirections
from pnpvideo.words.direction import EditDirection, direction_from_templates
from pnpvideo.words.templates import template_pairs


def test_a_direction_is_that_of_the_phrase_or_of_the_concept_alone(backend: StableDiffusion, tmp_path: Path) -> None:
    for placement, concepts in (("word", ("red hen", "red fox")), ("start", ("hen", "fox"))):
        change = ChangeDirections(
            backend.text, ("hen", "fox"), placement, Store(tmp_path / "store"), "sd15", lambda event: None
        )
        found, expected = change.direction("a red hen"), direction_from_templates(backend.text, *concepts)
        assert (found.source, found.target) == concepts
        assert torch.equal(found.delta, expected.delta)
        assert change.direction("a red hen") is found


def test_concepts_of_equal_sentences_have_directions_of_their_own(backend: StableDiffusion, tmp_path: Path) -> None:
    """ "hen" and "a hen" make the same sentences, but begin at another token of them."""
    store = Store(tmp_path / "store")

    def stored(*change: str) -> EditDirection:
        concepts = (change[0], change[1])
        return ChangeDirections(backend.text, concepts, "word", store, "sd15", lambda event: None).direction("hens")

    first, second = (
        template_pairs("hen", "fox", backend.text.known),
        template_pairs("a hen", "a fox", backend.text.known),
    )
    assert [side.sentences for side in first] == [side.sentences for side in second]
    for concepts in (("a hen", "a fox"), ("hen", "fox")):
        for _ in range(2):  # built, then read
            found, expected = stored(*concepts), direction_from_templates(backend.text, *concepts)
            assert found.tensors().keys() == expected.tensors().keys()
            assert all(torch.equal(value, expected.tensors()[name]) for name, value in found.tensors().items())
    assert len(store.list()) == 2


def test_a_stored_direction_is_not_built_again(backend: StableDiffusion, tmp_path: Path) -> None:
    def built(events: list[Event]) -> dict[str, torch.Tensor]:
        store = Store(tmp_path / "store")
        change = ChangeDirections(backend.text, ("hen", "fox"), "word", store, "sd15", events.append)
        return change.direction("a hen").tensors()

    first, second = list[Event](), list[Event]()
    one, other = built(first), built(second)
    assert any(isinstance(event, Progress) for event in first) and second == []
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    (info,) = Store(tmp_path / "store").list()
    assert info.about == {"change": "hen to fox", "model": "sd15"}
