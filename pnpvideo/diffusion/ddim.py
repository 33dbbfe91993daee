"""What a network's answer says of noisy latents, and one deterministic DDIM step, the same in both directions."""

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule


def along(x: Tensor, eps: Tensor, schedule: Schedule, at: int, to: int) -> Tensor:
    """x_to = sqrt(a_to) x0 + sqrt(1 - a_to) eps (arXiv 2010.02502, eq. 12 with sigma = 0), x0 = (x - sqrt(1 - a) eps) /
    sqrt(a), from ``x`` of level ``at``, whose alpha is above 0, with ``eps`` from wherever it was asked."""
    here, there = schedule.alphas[at], schedule.alphas[to]
    return there**0.5 * (x - (1 - here) ** 0.5 * eps) / here**0.5 + (1 - there) ** 0.5 * eps


def output_for(x: Tensor, eps: Tensor, alpha: float, prediction: str) -> Tensor:
    """The output at ``x`` that clean_and_noise reads as ``eps``: its inverse; alpha in (0, 1)."""
    if prediction == "epsilon":
        return eps
    signal, noise = alpha**0.5, (1 - alpha) ** 0.5
    clean = (x - noise * eps) / signal
    return signal * eps - noise * clean if prediction == "v_prediction" else clean


def clean_and_noise(x: Tensor, output: Tensor, alpha: float, prediction: str) -> tuple[Tensor, Tensor]:
    """What the network's output says about x = sqrt(alpha) x0 + sqrt(1 - alpha) eps: (x0, eps), in fp32.

    prediction: "epsilon", "sample", or "v_prediction" (arXiv 2202.00512: v = sqrt(alpha) eps - sqrt(1 - alpha) x0).
    """
    signal, noise = alpha**0.5, (1 - alpha) ** 0.5
    x, output = x.float(), output.float()
    if prediction == "epsilon":
        return (x - noise * output) / signal, output
    if prediction == "v_prediction":
        return signal * x - noise * output, signal * output + noise * x
    return output, (x - signal * output) / noise
