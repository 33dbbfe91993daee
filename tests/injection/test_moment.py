"""Lanes of a batch and ranges of steps."""

import pytest
import torch

from pnpvideo.injection import Lanes, Moment, Until


def test_lanes_stack_what_they_split() -> None:
    lanes, batch = Lanes(("source", "empty", "positive"), (3, 7)), torch.arange(6)
    assert {name: part.tolist() for name, part in lanes.split(batch).items()} == {
        "source": [0, 1],
        "empty": [2, 3],
        "positive": [4, 5],
    }
    assert torch.equal(lanes.stack(lanes.split(batch)), batch)
    assert lanes.edited == ("empty", "positive")


@pytest.mark.parametrize(("share", "steps", "first"), [(0.8, 50, 40), (0.5, 50, 25), (0.0, 50, 0), (1.0, 7, 7)])
def test_a_window_is_the_first_steps(share: float, steps: int, first: int) -> None:
    assert [step for step in range(steps) if Moment(step, steps, 0) in Until(share)] == list(range(first))
