"""Solvers of the probability flow: how a network's answers become a step, the same in both directions."""

from typing import NamedTuple

from torch import Tensor

from pnpvideo.diffusion.ddim import clean_and_noise
from pnpvideo.diffusion.schedule import Schedule


class Answer(NamedTuple):
    """What the network said of the latents of ``level``: the clean ones and the noise in them, (f, c, h, w), fp32."""

    clean: Tensor
    eps: Tensor
    level: int

    @classmethod
    def of(cls, x: Tensor, output: Tensor, schedule: Schedule, level: int) -> "Answer":
        return cls(*clean_and_noise(x, output, schedule.alphas[level], schedule.prediction), level)


def solver_step(
    x: Tensor, answer: Answer, before: Tensor | None, schedule: Schedule, to: int, solver: str = "ddim"
) -> Tensor:
    """From latents ``x`` (f, c, h, w), fp32, of the level of ``answer`` to a neighbour, above or below.

    "ddim" (arXiv 2010.02502): x_to = sqrt(a_to) x0 + sqrt(1 - a_to) eps, as ``along``. "2m" (DPM-Solver++(2M),
    arXiv 2211.01095, algorithm 2): the same with x0 carried on along
    the line from ``before``, the clean latents that were said one step earlier on the same way, by half of this step in
    log SNR. A step without one before, the last one down to the clean level, and one to pure noise are DDIM's.
    """
    at, now, then = answer.level, schedule.alphas[answer.level], schedule.alphas[to]
    clean, eps = answer.clean, answer.eps
    if solver == "2m" and before is not None and to > 0 and then > 0:
        here, there, last = (schedule.half_log_snr(level) for level in (at, to, 2 * at - to))
        clean = clean + (there - here) / (2 * (here - last)) * (
            clean - before
        )  # nothing of what was said of pure noise
        eps = (x - now**0.5 * clean) / (1 - now) ** 0.5
    return then**0.5 * clean + (1 - then) ** 0.5 * eps
