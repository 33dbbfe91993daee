"""Runs share the first steps that they have in common, and no others."""

from dataclasses import replace

import pytest
import torch

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.diffusion.solvers import State
from pnpvideo.engine.beginning import Beginning
from pnpvideo.engine.run import Run
from pnpvideo.events import ignore
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.methods.sdedit import SDEdit
from pnpvideo.settings.options import Options, Sampling
from pnpvideo.store import Store


def state(level: int) -> State:
    return State(torch.full((1, 3, 2, 2), float(level)), level)


def test_the_furthest_state_of_a_like_run_is_found() -> None:
    options = Options(method=SDEdit(), sampling=Sampling(steps=6))
    run = Run.of(FakeBackend({}), options, Store(), ignore)
    shared = replace(run, beginnings={})
    one = Beginning(shared, lambda step: f"a{step}")
    for level in (5, 4, 3, 0):
        one.keep(state(level))
    other = Beginning(shared, lambda step: f"a{step}" if step <= 2 else f"b{step}")
    assert other.further(state(6)).level == 4 and float(other.further(state(6)).x[0, 0, 0, 0]) == 4.0
    assert other.further(state(3)).level == 3  # it is further on by itself
    assert Beginning(run, lambda step: f"a{step}").further(state(6)).level == 6


@pytest.mark.parametrize(("step", "alike"), [(1, True), (3, True), (4, False), (8, False)])
def test_plug_and_play_begins_alike_until_one_stops_to_inject(step: int, alike: bool) -> None:
    first, second = (PlugAndPlay(attention_until=a, feature_until=0.8, fresh_noise=0.0) for a in (0.4, 0.7))
    assert (first.before(step, 8) == second.before(step, 8)) == alike
    third = PlugAndPlay(attention_until=0.4, feature_until=0.8, fresh_noise=0.1)
    below = replace(third, inversion_depth=0.99)
    assert third.before(step, 8) != below.before(step, 8)  # below pure noise, fresh noise is mixed in differently
    assert first.before(step, 8) != third.before(step, 8)
    assert SDEdit(strength=0.4).before(step, 8) != SDEdit(strength=0.7).before(step, 8)
