"""Each method's start, edits and defaults, and the registry that names them."""

import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import RecordedTrajectory
from pnpvideo.edits.structure import FeatureInjection, SelfAttentionInjection
from pnpvideo.errors import NoMatchingSite, OptionError
from pnpvideo.injection import Conditioning, Moment
from pnpvideo.methods.attention_gradient import reference_lanes
from pnpvideo.methods.method import Corrected, Method
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.methods.registry import EDITS, METHODS, USUAL, USUAL_EDIT, name_of
from pnpvideo.methods.sdedit import SDEdit

SCHEDULE = Schedule.flow_matching(10)
STATES = [torch.full((2, 1, 2, 2), float(level)) for level in range(11)]
NOISE = torch.ones(1, 1, 2, 2)


@pytest.mark.parametrize(("strength", "level"), [(1.0, 10), (0.6, 6), (0.55, 6), (0.01, 1)])
def test_sdedit_starts_part_of_the_way_up(strength: float, level: int) -> None:
    x, start = SDEdit(strength=strength).start(RecordedTrajectory(STATES), SCHEDULE, NOISE)
    assert start == level and torch.equal(x, STATES[level])
    with pytest.raises(OptionError, match="above 0"):
        SDEdit(strength=0.0)


def test_sdedit_noises_its_source() -> None:
    x0 = torch.randn(2, 1, 2, 2)
    trajectory = SDEdit().trajectory(x0, lambda stream: NOISE, SCHEDULE)
    assert not SDEdit.inverts and torch.equal(trajectory.at(0), x0)
    assert torch.allclose(trajectory.at(5), 0.5 * x0 + 0.5 * NOISE)


def test_plug_and_play_injects_at_the_sites_of_its_roles(backend: StableDiffusion) -> None:
    features, attention = PlugAndPlay(feature_until=0.8, attention_until=0.5).edits(backend.sites)
    assert isinstance(features, FeatureInjection) and isinstance(attention, SelfAttentionInjection)
    assert len(features.sites) == 1 and len(attention.sites) == 8
    assert features.active(Moment(7, 10, 0), None) and not attention.active(Moment(7, 10, 0), None)  # type: ignore[arg-type]
    with pytest.raises(NoMatchingSite):
        PlugAndPlay(feature_until=0.8, attention_until=0.5).edits([])


def test_fresh_noise_replaces_its_share_of_the_start() -> None:
    x, _ = PlugAndPlay(fresh_noise=0.6).start(RecordedTrajectory(STATES), SCHEDULE, NOISE)
    assert torch.allclose(x, 0.8 * STATES[10] + 0.6)
    assert PlugAndPlay(fresh_noise=0.6).without_effect() == {} and "seed" in PlugAndPlay().without_effect()


@pytest.mark.parametrize(("depth", "steps"), [(1.0, 10), (0.66, 7), (0.5, 5), (0.01, 1)])
def test_plug_and_play_inverts_and_samples_a_share_of_the_levels(depth: float, steps: int) -> None:
    method = PlugAndPlay(inversion_depth=depth, fresh_noise=0.0)
    levels = method.levels(SCHEDULE)
    assert levels == SCHEDULE.up_to(steps)
    x, level = method.start(RecordedTrajectory(STATES[: steps + 1]), levels, NOISE)
    assert level == steps and x is STATES[steps]
    with pytest.raises(OptionError, match="inversion_depth"):
        PlugAndPlay(inversion_depth=0.0)


def test_below_pure_noise_fresh_noise_replaces_noise_alone() -> None:
    """Of x = signal x0 + noise eps it moves eps: at 0.6 to 0.8 eps + 0.6 fresh."""
    x0, eps = torch.randn(2, 2, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    method, schedule = PlugAndPlay(inversion_depth=0.5, fresh_noise=0.6), SCHEDULE.up_to(5)
    states = [schedule.mix(x0, eps, level) for level in range(6)]
    x, _ = method.start(RecordedTrajectory(states), schedule, NOISE)
    assert torch.allclose(x, schedule.mix(x0, 0.8 * eps + 0.6 * NOISE, 5), atol=1e-5)


def test_the_base_samples_plainly_and_corrects_nothing() -> None:
    method = Method()
    assert method.levels(SCHEDULE) is SCHEDULE
    x, level = method.start(RecordedTrajectory(STATES), SCHEDULE, NOISE)
    assert level == 10 and torch.equal(x, STATES[10]) and method.edits([]) == [] and method.source_lanes == ()
    assert not method.corrects(Moment(0, 10, 0)) and method.after_step(x, x + 1, x + 2) is x
    unchanged = Corrected.unchanged(x, ("empty", "positive"))
    assert unchanged.origin is x and all(latents is x for latents in unchanged.lanes.values())


def test_lanes_of_equal_prompts_share_a_reference() -> None:
    one, other = Conditioning(torch.zeros(2, 3)), Conditioning(torch.ones(2, 3))
    words = {"source": one, "empty": Conditioning(torch.zeros(2, 3)), "negative": other, "positive": other}
    found = reference_lanes(("empty", "negative", "positive"), words)
    assert found == {"empty": "source", "negative": "negative", "positive": "source"}


def test_names_are_those_of_the_registry() -> None:
    assert {name_of(kind()) for kind in METHODS.values()} == set(METHODS)
    assert {USUAL, USUAL_EDIT, *EDITS} <= set(METHODS) and name_of(Method()) == "Method"
