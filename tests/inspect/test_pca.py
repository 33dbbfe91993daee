"""Principal components against numpy's singular value decomposition."""

import numpy as np
import pytest
import torch

from pnpvideo.inspect import pca
from pnpvideo.inspect.pca import Components, principal_components


def samples(rows: int, channels: int) -> torch.Tensor:
    """Correlated samples whose first directions stand out."""
    generator = torch.Generator().manual_seed(3)
    mixing = torch.randn(channels, channels, generator=generator) * torch.linspace(4, 0.1, channels)[:, None] ** 2
    return torch.randn(rows, channels, generator=generator) @ mixing + 5


def by_numpy(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Axes (count, c) with their largest entry positive, and shares of the variance."""
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:count]
    signs = np.sign(axes[np.arange(count), np.abs(axes).argmax(1)])
    return axes * signs[:, None], (values**2 / (values**2).sum())[:count]


def test_components_are_those_of_numpys_svd() -> None:
    rows = samples(300, 24)
    axes, shares = by_numpy(rows.numpy(), 5)
    found = principal_components([rows[:100], rows[100:170], rows[170:]], 5)
    np.testing.assert_allclose(found.axes.numpy(), axes, atol=1e-9)
    np.testing.assert_allclose(found.shares, shares, atol=1e-12)
    centred = rows.double().numpy() - rows.double().numpy().mean(0)
    np.testing.assert_allclose(found.scores(rows).numpy(), centred @ axes.T, rtol=1e-5, atol=1e-4)


def test_the_randomised_decomposition_finds_the_same_and_leaves_the_generator_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = samples(200, 40)
    exact = principal_components([rows])
    monkeypatch.setattr(pca, "EXACT_CHANNELS", 39)
    before = torch.random.get_rng_state()
    first, second = principal_components([rows[:90], rows[90:]]), principal_components([rows[:90], rows[90:]])
    assert torch.equal(first.axes, second.axes)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.testing.assert_close(first.axes, exact.axes, atol=1e-3, rtol=0)
    np.testing.assert_allclose(first.shares, exact.shares, rtol=1e-3)


def test_all_samples_share_one_analysis() -> None:
    rows = samples(120, 10)
    together, first = principal_components([rows[:60], rows[60:]]), principal_components([rows[:60]])
    torch.testing.assert_close(together.axes, principal_components([rows]).axes)
    assert not torch.allclose(together.axes, first.axes, atol=1e-3)


def test_signs_can_follow_another_analysis() -> None:
    rows = samples(80, 6)
    found = principal_components([rows])
    wanted = found.scores(rows) * torch.tensor([1.0, -1.0, 1.0])
    turned = found.agreeing(found.scores(rows), wanted)
    torch.testing.assert_close(turned.scores(rows), wanted)


def test_samples_that_do_not_vary_have_no_variance() -> None:
    found = principal_components([torch.ones(7, 2)], 3)
    assert found.shares == (0.0, 0.0)
    assert isinstance(found, Components) and not found.scores(torch.ones(7, 2)).any()
    with pytest.raises(ValueError, match="no samples"):
        principal_components([])
