"""Sites, lanes, moments and the session: the pieces that an edit is told about."""

import pytest
import torch
from torch import nn

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError, NoMatchingSite
from pnpvideo.injection.attention import check_arguments
from pnpvideo.injection.install import Session, checkpointed, injected
from pnpvideo.injection.lanes import SOURCE, Lanes
from pnpvideo.injection.moment import Moment, Until
from pnpvideo.injection.site import Kind, Role, Site, select, with_role

NOW, LANES = Moment(0, 2, 501), Lanes(("empty", "positive"), (0, 1))
SITE = Site("block.resnets.0.conv2", Kind.RESIDUAL, "decoder", 4)


def test_sites_are_chosen_by_kind_part_layer_and_role(backend: StableDiffusion) -> None:
    assert {site.kind for site in select(backend.sites, Kind.SELF)} == {Kind.SELF}
    (features,) = with_role(backend.sites, Role.STRUCTURE_FEATURES)
    assert (features.kind, features.part, features.layer) == (Kind.RESIDUAL, "decoder", 4)
    attention = with_role(backend.sites, Role.STRUCTURE_ATTENTION)
    assert attention == select(backend.sites, Kind.SELF, "decoder", range(4, 12))
    with pytest.raises(NoMatchingSite, match="no residual site in the middle, layers \\[9\\]"):
        select(backend.sites, Kind.RESIDUAL, "middle", [9])
    with pytest.raises(NoMatchingSite, match="no site for structure features"):
        with_role([SITE], Role.STRUCTURE_FEATURES)


def test_rows_of_a_lane() -> None:
    lanes = Lanes((SOURCE, "positive"), (3, 5, 9))
    assert lanes.rows("positive") == slice(3, 6) and lanes.edited == ("positive",)
    assert Moment(1, 4, 0) in Until(0.5) and Moment(2, 4, 0) not in Until(0.5)


class Doubled:
    """A residual edit that doubles what it sees."""

    sites = (SITE,)

    def begin(self, moment: Moment) -> None: ...

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return True

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, features: torch.Tensor, site: Site, moment: Moment, lanes: Lanes) -> torch.Tensor:
        return 2 * features


def network() -> nn.Module:
    block = nn.Module()
    block.resnets = nn.ModuleList([nn.Module()])
    block.resnets[0].conv2 = nn.Identity()
    whole = nn.Module()
    whole.block = block
    return whole


def test_an_edit_is_active_during_a_session_alone() -> None:
    whole, x = network(), torch.ones(2)
    conv = whole.get_submodule(SITE.name)
    with injected(whole, [Doubled()]) as session:
        assert torch.equal(conv(x), x)  # outside of ``during`` no edit is active
        with session.during(NOW, LANES):
            assert torch.equal(conv(x), 2 * x)
        with session.during(NOW, LANES, last=SITE):
            conv(x)
            pytest.fail("the call is stopped after its last site")
        assert session.now is None
    assert torch.equal(conv(x), x) and not conv._forward_hooks
    with pytest.raises(NoMatchingSite, match="no module"), injected(nn.Module(), [Doubled()]):
        pass


def test_a_session_may_last_for_a_backward_pass() -> None:
    session = Session([])
    session.look(NOW, LANES)
    assert session.now == (NOW, LANES)


def test_gradient_checkpointing_is_switched_back(backend: StableDiffusion) -> None:
    with checkpointed(backend.network):
        assert backend.network.is_gradient_checkpointing
    with checkpointed(backend.network, wanted=False):
        assert not backend.network.is_gradient_checkpointing


def test_an_argument_that_would_be_dropped_is_refused() -> None:
    check_arguments(SITE, torch.zeros(1, 2, 3), {"attention_mask": None, "temb": None})
    with pytest.raises(ModelError, match="attention_mask"):
        check_arguments(SITE, torch.zeros(1, 2, 3), {"attention_mask": torch.ones(1)})
