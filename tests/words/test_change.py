"""The direction of a change: about its phrase, and kept in the store."""

from pathlib import Path

import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.events import Event, Progress
from pnpvideo.store import Store
from pnpvideo.words.change import ChangeDirections
from pnpvideo.words.direction import direction_from_templates


def test_a_direction_is_that_of_the_phrase_or_of_the_concept_alone(backend: StableDiffusion, tmp_path: Path) -> None:
    for placement, concepts in (("word", ("red hen", "red fox")), ("start", ("hen", "fox"))):
        change = ChangeDirections(
            backend.text, ("hen", "fox"), placement, Store(tmp_path / "store"), "sd15", lambda event: None
        )
        found, expected = change.direction("a red hen"), direction_from_templates(backend.text, *concepts)
        assert (found.source, found.target) == concepts
        assert torch.equal(found.delta, expected.delta)
        assert change.direction("a red hen") is found


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
