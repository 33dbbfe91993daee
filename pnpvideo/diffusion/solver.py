"""Solvers of the probability flow: how a network's answers become a step, the same in both directions."""

from collections.abc import Callable
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
    x: Tensor,
    answer: Answer,
    before: Tensor | None,
    schedule: Schedule,
    to: int,
    solver: str = "ddim",
    ahead: Tensor | None = None,
) -> Tensor:
    """From latents ``x`` (f, c, h, w), fp32, of the level of ``answer`` to a neighbour, above or below.

    "ddim" (arXiv 2010.02502): x_to = sqrt(a_to) x0 + sqrt(1 - a_to) eps, as ``along``. "2m" (DPM-Solver++(2M),
    arXiv 2211.01095, algorithm 2): the same with x0 carried on along
    the line from ``before``, the clean latents that were said one step earlier on the same way, by half of this step in
    log SNR. A step without one before, the last one down to the clean level, and one to pure noise are DDIM's.

    ahead: what to carry x0 on by instead, where that is known; see lookahead().
    """
    at, now, then = answer.level, schedule.alphas[answer.level], schedule.alphas[to]
    clean, eps = answer.clean, answer.eps
    if ahead is None and solver == "2m" and before is not None and to > 0 and then > 0:
        here, there, last = (schedule.half_log_snr(level) for level in (at, to, 2 * at - to))
        ahead = (there - here) / (2 * (here - last)) * (clean - before)  # nothing of what was said of pure noise
    if ahead is not None:
        clean = clean + ahead
        eps = (x - now**0.5 * clean) / (1 - now) ** 0.5
    return then**0.5 * clean + (1 - then) ** 0.5 * eps


def lookahead(at: Callable[[int], Tensor], schedule: Schedule, level: int) -> Tensor | None:
    """How far x0 moves in half a step down from ``level``, on a path that is known: ``at(level)`` are its latents.

    A step, of whatever solver, goes by one x0, that of the middle of the step. So half of the change from the x0 of the
    step before to that of this one, by their lengths in log SNR, is this step's second order, and no network is
    asked. None for the first step down, which has none before it, and for the last one, which is DDIM's.
    """
    if not 1 < level < schedule.steps or schedule.alphas[level + 1] == 0:
        return None
    before, here, there = (schedule.half_log_snr(place) for place in (level + 1, level, level - 1))
    change = _gone_by(at, schedule, level) - _gone_by(at, schedule, level + 1)
    return (there - here) / (there - before) * change


def _gone_by(at: Callable[[int], Tensor], schedule: Schedule, level: int) -> Tensor:
    """The x0 that takes the latents of ``level`` to those of the level below: both are sqrt(a) x0 + sqrt(1 - a) eps."""
    now, then = schedule.alphas[level], schedule.alphas[level - 1]
    noise, less = (1 - now) ** 0.5, (1 - then) ** 0.5
    return (less * at(level) - noise * at(level - 1)) / (now**0.5 * less - then**0.5 * noise)
