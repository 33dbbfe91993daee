"""Noise is a function of its arguments alone."""

import pytest
import torch

from pnpvideo.diffusion.noise import level_random, seeded_noise, shot_noise


def test_a_shots_noise_is_a_function_of_seed_shot_and_stream() -> None:
    asked = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (2**62, 3, 1)]
    first = [shot_noise((4, 8, 8), *numbers) for numbers in asked]
    torch.rand(7)
    again = [shot_noise((4, 8, 8), *numbers) for numbers in reversed(asked)]
    assert all(torch.equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert len({float(noise.sum()) for noise in first}) == len(asked)
    assert {tuple(noise.shape) for noise in first} == {(1, 4, 8, 8)}


def test_noise_is_standard_normal_and_drawn_as_torch_draws_it() -> None:
    noise = seeded_noise((8, 64, 64), 5)
    assert torch.equal(noise, torch.randn(8, 64, 64, generator=torch.Generator().manual_seed(5)))
    assert (float(noise.mean()), float(noise.std())) == pytest.approx((0, 1), abs=0.02)


def test_noise_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    shot_noise((4, 8, 8), 0, 0)
    level_random(1).random()
    assert torch.equal(torch.rand(4), expected)


def test_each_level_has_its_own_random_numbers() -> None:
    assert level_random(4).random() == level_random(4).random() != level_random(5).random()
