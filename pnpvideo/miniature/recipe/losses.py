"""Reconstruction losses beside L1 and L2: local contrast, and how much fine detail there is.

L1 is dominated by the bold outlines of drawings. The losses here are normalised in each neighbourhood, so that the
faint grain of a photo counts as much as an outline. All take a result ``y`` and its truth ``x``, (b, 3, h, w) in
[-1, 1], and return a scalar.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STABILISER = 2e-4
"""Added to local variances, so that flat regions, whose variance is rounding error, do not count."""


def contrast_loss(y: Tensor, x: Tensor, scales: int = 2, window: int = 5) -> Tensor:
    """1 - the contrast and structure terms of SSIM (Wang et al. 2004, eq. 13 without luminance).

    Mean over places and ``scales`` octaves. For detail that cannot be predicted, L1 is smallest when it is faint; this
    loss is smallest at its true contrast.
    """
    found = [
        1 - (2 * cov + STABILISER) / (var_x + var_y + STABILISER)
        for cov, var_x, var_y in _octaves(y, x, scales, window)
    ]
    return torch.stack([value.mean() for value in found]).mean()


def sharpness_loss(y: Tensor, x: Tensor, window: int = 16) -> Tensor:
    """Relative difference of the mean absolute gradient and Laplacian in windows, mean over both.

    What an autoencoder cannot store, such as the grain of a photo, it leaves out, because any wrong grain costs more
    than none in a loss that compares pixels. This loss compares only how much of it there is.
    """

    def gradient(picture: Tensor) -> Tensor:
        return picture.diff(dim=2)[..., :-1].abs() + picture.diff(dim=3)[..., :-1, :].abs()

    def laplacian(picture: Tensor) -> Tensor:
        around = picture[..., 2:, 1:-1] + picture[..., :-2, 1:-1] + picture[..., 1:-1, 2:] + picture[..., 1:-1, :-2]
        return (picture[..., 1:-1, 1:-1] - around / 4).abs()

    found = []
    for measure, floor in ((gradient, 0.02), (laplacian, 0.01)):
        of_y, of_x = (F.avg_pool2d(measure(each), window, window // 2) for each in (y, x))
        found.append(((of_y - of_x).abs() / (of_x + floor)).mean())
    return torch.stack(found).mean()


def _octaves(y: Tensor, x: Tensor, scales: int, window: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each octave: local covariance of y and x, variance of x and variance of y, (b, 3, h', w')."""
    found = []
    for scale in range(scales):
        if scale:
            y, x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
        stacked = torch.cat((y, x, y * y, x * x, y * x), 1)
        mean_y, mean_x, yy, xx, yx = F.avg_pool2d(stacked, window, 1).chunk(5, 1)
        var_y, var_x = (yy - mean_y * mean_y).clamp(min=0), (xx - mean_x * mean_x).clamp(min=0)
        found.append((yx - mean_y * mean_x, var_x, var_y))
    return found
