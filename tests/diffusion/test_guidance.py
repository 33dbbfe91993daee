"""Classifier-free guidance: which lanes are evaluated at a step, and how their outputs are combined."""

import math

import pytest
import torch

from pnpvideo.diffusion.guidance import Guidance


@pytest.mark.parametrize(("decay", "half"), [("constant", 0.8), ("linear", 0.4), ("exp", 0.8 * math.exp(-3))])
def test_the_negative_prompt_comes_in(decay: str, half: float) -> None:
    guidance = Guidance(scale=3.0, negative=True, empty_share=0.8, decay=decay)
    assert guidance.share(0, 11) == 0.8
    assert guidance.share(5, 11) == pytest.approx(half)
    parts = {name: torch.full((1,), value) for name, value in (("empty", 1.0), ("negative", 2.0), ("positive", 5.0))}
    base = half * 1.0 + (1 - half) * 2.0
    assert guidance.combine(parts, 5, 11).item() == pytest.approx(base + 3 * (5 - base), rel=1e-6)


def test_only_lanes_that_count_are_asked() -> None:
    assert Guidance(scale=1.0, negative=True).lanes(0, 10) == ("positive",)
    assert Guidance(scale=2.0).lanes(9, 10) == ("empty", "positive")
    linear = Guidance(scale=2.0, negative=True)
    assert [linear.lanes(step, 3) for step in range(3)] == [
        ("empty", "positive"),
        ("empty", "negative", "positive"),
        ("negative", "positive"),
    ]


def test_outside_of_its_span_there_is_no_guidance() -> None:
    guidance = Guidance(scale=3.0, negative=True, span=(0.2, 0.6))
    asked = [guidance.lanes(step, 10) for step in range(10)]
    assert [lanes == ("positive",) for lanes in asked] == [not 2 <= step < 6 for step in range(10)]
    parts = {"positive": torch.full((1,), 5.0), "empty": torch.zeros(1), "negative": torch.zeros(1)}
    assert [guidance.combine(parts, step, 10).item() for step in (1, 2, 5, 6)] == [5.0, 15.0, 15.0, 5.0]
