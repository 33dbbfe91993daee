"""What a network's output says about x0 and eps, for every kind of prediction."""

import pytest
import torch
from torch import Tensor

from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.errors import ModelError

LEVELS = [(0.8, 0.6), (0.3, 0.7), (1.0, 0.01), (0.01, 0.99)]
"""(signal, noise), variance-preserving and flow-matching."""


def output_of(prediction: Prediction, x0: Tensor, eps: Tensor, signal: float, noise: float) -> Tensor:
    """By its definition."""
    return {
        Prediction.EPSILON: eps,
        Prediction.SAMPLE: x0,
        Prediction.VELOCITY: signal * eps - noise * x0,
        Prediction.FLOW: eps - x0,
    }[prediction]


@pytest.mark.parametrize(("signal", "noise"), LEVELS)
@pytest.mark.parametrize("prediction", Prediction)
def test_the_parts_are_found_again(prediction: Prediction, signal: float, noise: float) -> None:
    x0, eps = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    x = signal * x0 + noise * eps
    found = prediction.estimate(x, output_of(prediction, x0, eps, signal, noise), signal, noise)
    assert torch.allclose(found.x0, x0, rtol=0, atol=1e-4)
    assert torch.allclose(found.eps, eps, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("signal", "noise"), LEVELS)
@pytest.mark.parametrize("prediction", Prediction)
def test_an_output_is_made_for_the_noise_that_it_shall_mean(
    prediction: Prediction, signal: float, noise: float
) -> None:
    x, eps = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    output = prediction.output(x, eps, signal, noise)
    found = prediction.estimate(x, output, signal, noise).eps
    assert torch.allclose(found, eps, rtol=0, atol=1e-3 * float(output.abs().max()))


@pytest.mark.parametrize("prediction", [Prediction.VELOCITY, Prediction.FLOW])
@pytest.mark.parametrize(("signal", "noise"), [(1.0, 0.0), (0.0, 1.0)])
def test_velocities_know_both_parts_at_both_ends(prediction: Prediction, signal: float, noise: float) -> None:
    x0, eps = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    x = signal * x0 + noise * eps
    found = prediction.estimate(x, output_of(prediction, x0, eps, signal, noise), signal, noise)
    assert torch.allclose(found.x0, x0, atol=1e-5) and torch.allclose(found.eps, eps, atol=1e-5)


def test_where_a_part_stays_open_it_is_refused() -> None:
    x = torch.ones(1, 1, 1, 1)
    with pytest.raises(
        ModelError, match="a prediction of type epsilon leaves the signal open at a level without signal"
    ):
        Prediction.EPSILON.estimate(x, x, 0.0, 1.0)
    with pytest.raises(ModelError, match="a prediction of type sample leaves the noise open at a level without noise"):
        Prediction.SAMPLE.estimate(x, x, 1.0, 0.0)
    for prediction in (Prediction.SAMPLE, Prediction.VELOCITY, Prediction.FLOW):
        with pytest.raises(ModelError, match="without signal"):
            prediction.output(x, x, 0.0, 1.0)
    assert torch.equal(Prediction.EPSILON.output(x, x, 0.0, 1.0), x)


def test_half_precision_is_computed_in_fp32() -> None:
    x = torch.ones(1, 4, 8, 8, dtype=torch.float16)
    for prediction in Prediction:
        assert {part.dtype for part in prediction.estimate(x, x, 0.6, 0.8)} == {torch.float32}
