"""The discriminator: does this patch of a result look like the teacher's work, beside its source?"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Discriminator(nn.Module):
    """Sources and results (n, 3, h, w) in [-1, 1] -> logits (n, 1, h / 8, w / 8), above 0 for the teacher's work.

    It looks at patches of about 30 pixels (PatchGAN, arXiv 1611.07004), and at the result minus its local mean beside
    the result itself, since what it is there for is fine detail.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (9, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(
            nn.Conv2d(narrow, wide, 4, stride=2, padding=1) for narrow, wide in pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, source: Tensor, result: Tensor) -> Tensor:
        detail = result - F.avg_pool2d(result, 5, stride=1, padding=2, count_include_pad=False)
        x = torch.cat([source, result, 4 * detail], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        logits: Tensor = self.last(x)
        return logits


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """The logistic loss of logits for the teacher's work and the student's (arXiv 1406.2661)."""
    return F.softplus(-real).mean() + F.softplus(made).mean()


def generator_loss(made: Tensor) -> Tensor:
    """The non-saturating loss of logits for the student's work (arXiv 1406.2661)."""
    return F.softplus(-made).mean()


def gradient_penalty(discriminator: Discriminator, source: Tensor, real: Tensor) -> Tensor:
    """R1 (arXiv 1801.04406, eq. 9 without gamma / 2): the squared gradient of the logits at the teacher's work,
    summed over a picture's pixels, mean over pictures."""
    real = real.detach().requires_grad_()
    logits = discriminator(source, real)
    (gradient,) = torch.autograd.grad(logits.mean((1, 2, 3)).sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()
