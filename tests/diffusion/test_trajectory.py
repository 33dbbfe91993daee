"""Trajectories: recorded, in closed form, and one's frames after another's."""

import pytest
import torch

from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import (
    ConcatenatedTrajectory,
    ForwardProcess,
    RecordedTrajectory,
    RenoisedTrajectory,
)


def test_the_forward_process_is_the_schedules_mixture_under_one_noise() -> None:
    schedule, draw = Schedule.flow_matching(4), torch.Generator().manual_seed(0)
    x0, eps = torch.randn(3, 4, 8, 8, generator=draw), torch.randn(1, 4, 8, 8, generator=draw)
    forward = ForwardProcess(x0, eps, schedule)
    assert torch.equal(forward.at(0), x0)
    assert torch.allclose(forward.at(1), 0.75 * x0 + 0.25 * eps)
    assert torch.equal(forward.at(4), eps.expand_as(x0))


def test_level_0_is_clean_where_the_schedule_is_not() -> None:
    schedule = Schedule.variance_preserving((20.0, 500.0), (0.9991, 0.98, 0.3), Prediction.EPSILON)
    draw = torch.Generator().manual_seed(0)
    x0, first, second = (torch.randn(2, 4, 8, 8, generator=draw) for _ in range(3))
    forward, renoised = ForwardProcess(x0, first, schedule), RenoisedTrajectory(x0, lambda level: second, schedule)
    assert schedule.noises[0] == pytest.approx(0.03)
    assert torch.equal(forward.at(0), x0) and torch.equal(renoised.at(0), x0)
    assert torch.allclose(forward.at(1), 0.98**0.5 * x0 + 0.02**0.5 * first)
    assert torch.allclose(renoised.at(2), 0.3**0.5 * x0 + 0.7**0.5 * second)


def test_frames_are_put_after_one_another() -> None:
    states = [torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    one, other = (RecordedTrajectory([state[rows] for state in states]) for rows in (slice(1), slice(1, 3)))
    both = ConcatenatedTrajectory(one, other)
    assert all(torch.equal(both.at(level), states[level]) for level in range(3))
