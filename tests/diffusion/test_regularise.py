"""Regularised inversion: closed-form slopes against autograd, and what it does to noise."""

from random import Random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.diffusion.noise import level_random
from pnpvideo.diffusion.regularise import (
    Regularisation,
    autocorrelation,
    autocorrelation_gradient,
    draw_shifts,
    kl,
    kl_gradient,
    pyramid_sizes,
)


def noise(frames: int = 2, height: int = 32, width: int = 48, seed: int = 0) -> Tensor:
    return torch.randn((frames, 4, height, width), generator=torch.Generator().manual_seed(seed))


def correlated(side: int, box: int) -> Tensor:
    x = noise(1, side, side, seed=3)
    x = F.avg_pool2d(F.pad(x, (box // 2,) * 4, mode="circular"), box, 1)
    return 0.8 * x / x.std()


def neighbours_correlate(x: Tensor) -> float:
    return float((x * x.roll(1, 2)).mean() / x.square().mean())


def plain_autocorrelation(x: Tensor, shifts: list[tuple[int, int]], gain: float) -> Tensor:
    """One number: section 3.2, loop by loop."""
    total = torch.zeros(())
    for number, (down, across) in enumerate(shifts):
        if number:
            x = gain * F.avg_pool2d(x, 2)
        for channel in range(x.shape[1]):
            n = x[0, channel]
            total = total + (n * torch.roll(n, down, 0)).mean() ** 2 + (n * torch.roll(n, across, 1)).mean() ** 2
    return total


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_the_slope_of_correlation_is_that_of_autograd(gain: float) -> None:
    x = noise().requires_grad_()
    shifts = [(3, 7), (2, 1), (5, 4)]
    each = [plain_autocorrelation(x[n : n + 1], shifts, gain) for n in range(len(x))]
    assert torch.allclose(autocorrelation(x, shifts, gain), torch.stack(each), rtol=1e-5)
    (expected,) = torch.autograd.grad(torch.stack(each).sum(), x)
    found = autocorrelation_gradient(x.detach(), shifts, gain)
    assert torch.allclose(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_slope_of_the_distance_from_normal_is_that_of_autograd() -> None:
    x = (0.7 * noise() + 0.2).requires_grad_()
    losses = [x[n].var() + x[n].mean() ** 2 - 1 - torch.log(x[n].var() + 1e-7) for n in range(len(x))]
    assert torch.allclose(kl(x), torch.stack(losses), atol=1e-6)
    (expected,) = torch.autograd.grad(torch.stack(losses).sum(), x)
    assert torch.allclose(kl_gradient(x.detach()), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 64), [(64, 64), (32, 32), (16, 16), (8, 8)]),
        ((32, 48), [(32, 48), (16, 24), (8, 12)]),
        ((30, 64), [(30, 64), (15, 32)]),
        ((12, 64), [(12, 64)]),
    ],
)
def test_the_pyramid_goes_down_to_eight(size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert pyramid_sizes(torch.zeros(1, 4, *size), 8) == expected


def test_no_shift_is_zero() -> None:
    random, sizes = Random(0), [(64, 48), (32, 24), (8, 8), (2, 3)]
    for _ in range(500):
        for (height, width), (down, across) in zip(sizes, draw_shifts(sizes, random), strict=True):
            assert 1 <= down < max(2, height // 2) and 1 <= across < max(2, width // 2)


@pytest.mark.parametrize("gain", [1.0, 2.0])
@pytest.mark.parametrize(("side", "box"), [(16, 5), (32, 3), (32, 9), (64, 5)])
def test_correlated_noise_becomes_whiter_and_never_runs_away(gain: float, side: int, box: int) -> None:
    before = correlated(side, box)
    after = Regularisation(pyramid_gain=gain)(before, 0)
    assert torch.isfinite(after).all() and after.abs().max() <= before.abs().max() + 0.5
    assert neighbours_correlate(after) < neighbours_correlate(before)


def test_the_papers_gain_does_more() -> None:
    before = correlated(64, 9)
    one, two = (neighbours_correlate(Regularisation(pyramid_gain=gain)(before, 0)) for gain in (1.0, 2.0))
    assert neighbours_correlate(before) - two > 4 * (neighbours_correlate(before) - one)


def test_small_steps_are_those_of_the_authors_code() -> None:
    """ddim_inv.py: five times {five steps on L_ac, each of a fifth of 20, one of 20 on L_kl}, here by autograd. With a
    gain of 1 no step is as long as Polyak's."""
    before, level = correlated(32, 3), 5
    sizes, random, expected = pyramid_sizes(before, 8), level_random(level), before
    for _ in range(5):
        for _ in range(5):
            x = expected.detach().requires_grad_()
            (slope,) = torch.autograd.grad(plain_autocorrelation(x, draw_shifts(sizes, random), 1.0), x)
            expected = expected - 20 * slope / 5
        x = expected.detach().requires_grad_()
        (slope,) = torch.autograd.grad(x.var() + x.mean() ** 2 - 1 - torch.log(x.var() + 1e-7), x)
        expected = expected - 20 * slope
    found = Regularisation(pyramid_gain=1.0)(before, level)
    assert torch.allclose(found, expected, atol=1e-5)
    assert float((found - before).abs().max()) > 1e-3


def test_white_noise_stays() -> None:
    before = noise()
    after = Regularisation()(before, 0)
    assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.99


def test_every_frame_is_treated_as_if_alone_and_by_its_level() -> None:
    both = noise()
    alone = torch.cat([Regularisation()(both[n : n + 1], 7) for n in range(2)])
    assert torch.allclose(Regularisation()(both, 7), alone, atol=1e-6)
    assert torch.equal(Regularisation()(both, 7), Regularisation()(both, 7))
    assert not torch.equal(Regularisation()(both, 7), Regularisation()(both, 8))
    assert torch.equal(Regularisation(pyramid_gain=0)(both, 7), both)
