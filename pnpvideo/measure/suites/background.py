"""What changed outside the edited region: PSNR, MSE, SSIM and LPIPS, in both modes."""

import kornia.metrics
import numpy as np
import torch
from torch import Tensor

from pnpvideo.measure.suites.lpips import Lpips
from pnpvideo.measure.suites.mode import Mode

WINDOW = 11
"""Pixels, of SSIM's Gaussian window with sigma 1.5 (Wang et al., 2004); places whose window leaves the picture do not
count."""
ROUNDING = 1 / (12 * 255**2)
"""Mean squared error that rounding to 8 bits makes by itself; strict counts no smaller one, so PSNR ends at 58.9 dB."""


def background_figures(
    source: np.ndarray, result: np.ndarray, edited: np.ndarray, mode: Mode, lpips: Lpips | None
) -> dict[str, float]:
    """psnr in dB, mse in [0, 1]^2 units, ssim, and lpips where there is a judge; NaN where everything is edited.

    source, result: (h, w, 3) uint8; edited: (h, w) bool.

    compat blackens the edited region in both pictures and takes the mean over the whole frame, so that the black pixels
    count as equal: the smaller the background, the better the figures. An equal background has an infinite PSNR.
    strict takes the mean over the background alone; in the edited region, which windows and filters near it still see,
    the source stands in both pictures.
    """
    if edited.all():
        names = ("psnr", "mse", "ssim", *(("lpips",) if lpips else ()))
        return dict.fromkeys(names, float("nan"))
    ours, theirs = _pixels(result), _pixels(source)
    keep = torch.from_numpy(~edited)
    if mode is Mode.COMPAT:
        ours, theirs, counted = ours * keep, theirs * keep, torch.ones_like(keep)
    else:
        ours, counted = torch.where(keep, ours, theirs), keep
    error = float((ours - theirs).square().mean(0)[counted].mean())
    found = {"psnr": _decibels(error, mode), "mse": error, "ssim": _ssim(ours, theirs, counted)}
    if lpips is not None:
        a, b = 2 * ours - 1, 2 * theirs - 1
        whole = mode is Mode.COMPAT
        found["lpips"] = lpips.distance(a, b) if whole else float(lpips.map(a, b)[counted].mean())
    return found


def whole_lpips(lpips: Lpips, source: np.ndarray, result: np.ndarray) -> float:
    """LPIPS of two whole pictures (h, w, 3) uint8."""
    return lpips.distance(2 * _pixels(result) - 1, 2 * _pixels(source) - 1)


def _decibels(error: float, mode: Mode) -> float:
    error = error if mode is Mode.COMPAT else max(error, ROUNDING)
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def _ssim(ours: Tensor, theirs: Tensor, counted: Tensor) -> float:
    """Mean over the places of ``counted`` (h, w) whose window lies in the picture; NaN if there are none."""
    edge = WINDOW // 2
    if min(counted.shape) < WINDOW:
        return float("nan")
    values = kornia.metrics.ssim(ours[None], theirs[None], WINDOW, padding="valid")[0].mean(0)
    return float(values[counted[edge:-edge, edge:-edge]].mean())


def _pixels(picture: np.ndarray) -> Tensor:
    """(h, w, 3) uint8 -> (3, h, w) float in [0, 1]."""
    return torch.tensor(picture).permute(2, 0, 1).float() / 255
