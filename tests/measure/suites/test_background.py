"""What changed outside the edited region, against values by hand and plain references."""

import math
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.measure.suites.background import ROUNDING, WINDOW, background_figures
from pnpvideo.measure.suites.lpips import Lpips
from pnpvideo.measure.suites.mode import Mode


def pair(seed: int, side: int = 40) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    source = random.integers(0, 256, (side, side, 3)).astype(np.uint8)
    noise = random.integers(-30, 31, source.shape)
    return source, np.clip(source.astype(int) + noise, 0, 255).astype(np.uint8)


def plain_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of each window that lies in the picture (Wang et al., 2004), in float64; a, b: (h, w) in [0, 1]."""
    place = np.arange(WINDOW) - WINDOW // 2
    line = np.exp(-(place**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    windows = [np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (WINDOW, WINDOW)) for x in (a, b)]
    mean_a, mean_b = ((x * weights).sum((2, 3)) for x in windows)
    var_a, var_b = ((x**2 * weights).sum((2, 3)) - mean**2 for x, mean in zip(windows, (mean_a, mean_b), strict=True))
    covariance = (windows[0] * windows[1] * weights).sum((2, 3)) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    found: np.ndarray = luminance * (2 * covariance + c2) / (var_a + var_b + c2)
    return found


def test_compat_counts_the_blackened_region_as_equal() -> None:
    """By hand: a background that is off by 51 levels (0.2) everywhere, and a quarter of the frame."""
    source = np.full((40, 40, 3), 100, np.uint8)
    result = np.full((40, 40, 3), 151, np.uint8)
    edited = np.ones((40, 40), bool)
    edited[:20, :20] = False
    compat = background_figures(source, result, edited, Mode.COMPAT, None)
    strict = background_figures(source, result, edited, Mode.STRICT, None)
    assert compat["mse"] == pytest.approx(0.04 / 4, abs=1e-6)
    assert compat["psnr"] == pytest.approx(20, abs=1e-4)
    assert strict["mse"] == pytest.approx(0.04, abs=1e-6)
    assert strict["psnr"] == pytest.approx(-10 * math.log10(0.04), abs=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_compat_is_the_plain_reference(seed: int) -> None:
    source, result = pair(seed)
    edited = np.zeros((40, 40), bool)
    edited[10:25, 5:30] = True
    keep = ~edited[..., None]
    a, b = source * keep / 255, result * keep / 255
    found = background_figures(source, result, edited, Mode.COMPAT, None)
    assert found["mse"] == pytest.approx(((a - b) ** 2).mean(), abs=1e-6)
    assert found["psnr"] == pytest.approx(10 * np.log10(1 / ((a - b) ** 2).mean()), abs=1e-4)
    expected = np.mean([plain_ssim(a[..., c], b[..., c]).mean() for c in range(3)])
    assert found["ssim"] == pytest.approx(expected, abs=1e-4)


def test_strict_is_the_mean_over_the_background_alone() -> None:
    source, result = pair(2)
    edited = np.zeros((40, 40), bool)
    edited[10:25, 5:30] = True
    keep = ~edited
    mixed = np.where(keep[..., None], result, source) / 255
    error = ((mixed - source / 255) ** 2).mean(2)[keep].mean()
    found = background_figures(source, result, edited, Mode.STRICT, None)
    assert found["mse"] == pytest.approx(error, abs=1e-6)
    assert found["psnr"] == pytest.approx(-10 * np.log10(error), abs=1e-4)
    maps = np.mean([plain_ssim(mixed[..., c], source[..., c] / 255) for c in range(3)], axis=0)
    assert found["ssim"] == pytest.approx(maps[keep[5:-5, 5:-5]].mean(), abs=1e-4)


def test_what_lies_in_the_edited_region_changes_no_figure(lpips_file: Path) -> None:
    source, result = pair(3)
    other = result.copy()
    edited = np.zeros((40, 40), bool)
    edited[:20] = True
    other[:20] = 7
    lpips = Lpips(lpips_file)
    for mode in Mode:
        found = [background_figures(source, each, edited, mode, lpips) for each in (result, other)]
        assert found[0] == found[1] and set(found[0]) == {"psnr", "mse", "ssim", "lpips"}


def test_without_a_background_every_figure_is_undefined(lpips_file: Path) -> None:
    source, result = pair(4)
    for mode in Mode:
        found = background_figures(source, result, np.ones((40, 40), bool), mode, Lpips(lpips_file))
        assert len(found) == 4 and all(math.isnan(value) for value in found.values())
        assert "lpips" not in background_figures(source, result, np.ones((40, 40), bool), mode, None)


def test_an_equal_background_has_an_infinite_psnr_in_compat_alone() -> None:
    source, _ = pair(5)
    edited = np.zeros((40, 40), bool)
    assert background_figures(source, source, edited, Mode.COMPAT, None)["psnr"] == math.inf
    found = background_figures(source, source, edited, Mode.STRICT, None)
    assert found["psnr"] == pytest.approx(-10 * math.log10(ROUNDING)) == pytest.approx(58.92, abs=0.01)
    assert found["mse"] == 0 and found["ssim"] == pytest.approx(1)
