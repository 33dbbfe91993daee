"""Schedules as such: the pair (signal, noise) of each level, and the checks at their border."""

import math

import pytest
import torch

from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.errors import OptionError
from pnpvideo.store import fingerprint


def test_flow_matching_goes_in_a_straight_line() -> None:
    schedule = Schedule.flow_matching(4)
    assert schedule.noises == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert schedule.signals == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert [schedule.timestep(level) for level in (1, 4)] == [250.0, 1000.0]
    assert (schedule.steps, schedule.prediction) == (4, Prediction.FLOW)


@pytest.mark.parametrize("shift", [0.5, 3.0])
def test_a_shift_moves_all_levels_of_flow_matching_but_its_ends(shift: float) -> None:
    """It divides signal / noise by the shift: lambda falls by its log at every level."""
    plain, shifted = Schedule.flow_matching(8), Schedule.flow_matching(8, shift, time_scale=1.0)
    assert (shifted.noises[0], shifted.noises[-1]) == (0.0, 1.0)
    for level in range(1, 8):
        fall = plain.half_log_snr(level) - shifted.half_log_snr(level)
        assert fall == pytest.approx(math.log(shift))
        assert shifted.timestep(level) == pytest.approx(shifted.noises[level])


def test_a_schedule_can_be_made_to_end_clean() -> None:
    schedule = Schedule.variance_preserving((20.0, 500.0), (0.9991, 0.98, 0.3), Prediction.VELOCITY)
    clean = schedule.ending_clean()
    assert (clean.signals[0], clean.noises[0]) == (1.0, 0.0) and schedule.noises[0] > 0
    assert clean.signals[1:] == schedule.signals[1:] and clean.noises[1:] == schedule.noises[1:]
    assert (clean.timesteps, clean.prediction) == (schedule.timesteps, schedule.prediction)
    assert clean.ending_clean() == clean


def test_flow_matching_ends_in_pure_noise_whatever_its_first_level() -> None:
    for steps in range(1, 60):
        schedule = Schedule.flow_matching(steps, 3.0, first=0.003)
        assert (schedule.noises[-1], schedule.signals[-1]) == (1.0, 0.0)


def test_between_two_levels_the_time_is_between_theirs() -> None:
    schedule = Schedule.flow_matching(4, shift=3.0)
    assert [schedule.timestep(level) for level in (1, 1.5, 2)] == [500.0, 625.0, 750.0]
    assert schedule.timestep(0.5) == 250.0


@pytest.mark.parametrize(("steps", "shift"), [(0, 1.0), (4, 0.0), (4, -1.0)])
def test_a_flow_that_cannot_be_is_refused(steps: int, shift: float) -> None:
    with pytest.raises(OptionError, match=f"steps is {steps} and shift {shift}"):
        Schedule.flow_matching(steps, shift)


def test_a_part_of_a_schedule_ends_at_its_level() -> None:
    schedule = Schedule.flow_matching(4)
    part = schedule.up_to(3)
    assert (part.steps, part.timesteps, part.noises) == (3, schedule.timesteps[:3], (0.0, 0.25, 0.5, 0.75))
    assert part.signals == schedule.signals[:4] and schedule.up_to(4) == schedule


def test_variance_is_preserved() -> None:
    schedule = Schedule.variance_preserving([1, 500, 999], [1.0, 0.9, 0.5, 0.0], Prediction.VELOCITY)
    assert [s**2 + n**2 for s, n in zip(schedule.signals, schedule.noises, strict=True)] == pytest.approx([1] * 4)
    assert schedule.half_log_snr(1) == pytest.approx(0.5 * math.log(0.9 / 0.1))
    assert (schedule.half_log_snr(0), schedule.half_log_snr(3)) == (math.inf, -math.inf)


def test_latents_are_mixed_from_both_parts() -> None:
    schedule = Schedule.flow_matching(4)
    x0, eps = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(schedule.mix(x0, eps, 1), 0.75 * x0 + 0.25 * eps)
    assert torch.equal(schedule.mix(x0, eps, 0), x0) and torch.equal(schedule.mix(x0, eps, 4), eps)


def test_each_timestep_has_its_level() -> None:
    with pytest.raises(ValueError, match="2 timesteps need one more signal and noise"):
        Schedule((1, 2), (1.0, 0.5), (0.0, 0.5), Prediction.EPSILON)


def test_a_schedule_has_a_fingerprint_of_its_own() -> None:
    kinds = (Prediction.EPSILON, Prediction.VELOCITY, Prediction.SAMPLE)
    schedules = [Schedule.variance_preserving([1, 9], [1.0, 0.9, 0.5], kind) for kind in kinds]
    schedules += [Schedule.flow_matching(2), Schedule.flow_matching(2, shift=3.0)]
    assert len({fingerprint(schedule) for schedule in schedules}) == len(schedules)
    assert fingerprint(Schedule.flow_matching(2)) == fingerprint(Schedule.flow_matching(2))
