"""The seam: sites that are missing are told, and a network comes back as it was."""

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.edits.shared_attention import SharedAttention
from pnpvideo.edits.structure import FeatureInjection, SelfAttentionInjection
from pnpvideo.errors import NoMatchingSite
from pnpvideo.injection import Edit, Kind, Lanes, Moment, Site, StopForward, Until, injected, select

NOWHERE = Site("mid_block.attentions.7.transformer_blocks.0.attn1", Kind.SELF, "middle", 7)
SOURCE, EDITED = Lanes(("source",), (0, 1)), Lanes(("empty", "positive"), (0, 1))


def state_of(network: Any) -> tuple[dict[str, Any], list[int]]:
    return dict(network.attn_processors), [len(module._forward_hooks) for module in network.modules()]


def output(backend: StableDiffusion, rows: int = 4) -> Tensor:
    x = torch.randn((rows, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    return backend.predict(x, 501, backend.embed("a hen").batch(rows))


def test_no_sites_is_an_error(backend: StableDiffusion) -> None:
    with (
        pytest.raises(NoMatchingSite, match=r"SelfAttentionInjection"),
        injected(backend.network, [SelfAttentionInjection((), Until(1.0))]),
    ):
        pass


def test_a_site_that_the_network_lacks_is_an_error_and_nothing_stays(backend: StableDiffusion) -> None:
    before = state_of(backend.network)
    known = select(backend.sites, Kind.SELF)
    with (
        pytest.raises(NoMatchingSite, match=r"attentions\.7"),
        injected(backend.network, [SelfAttentionInjection((*known, NOWHERE), Until(1.0))]),
    ):
        pass
    assert state_of(backend.network) == before


@pytest.mark.parametrize(
    ("kind", "part", "layers"), [(Kind.SELF, "decoder", [12]), (Kind.RESIDUAL, "tail", None), (Kind.CROSS, None, [99])]
)
def test_a_selection_without_sites_is_an_error(
    kind: Kind, part: str | None, layers: list[int] | None, backend: StableDiffusion
) -> None:
    with pytest.raises(NoMatchingSite, match=kind.value):
        select(backend.sites, kind, part, layers)


def test_an_error_inside_leaves_the_network_as_it_was(backend: StableDiffusion) -> None:
    before, plain = state_of(backend.network), output(backend)
    edits: list[Edit] = [
        FeatureInjection(select(backend.sites, Kind.RESIDUAL, "decoder", [4]), Until(1.0)),
        SelfAttentionInjection(select(backend.sites, Kind.SELF), Until(1.0)),
    ]
    with pytest.raises(ZeroDivisionError), injected(backend.network, edits):
        assert state_of(backend.network) != before
        raise ZeroDivisionError
    assert state_of(backend.network) == before
    assert torch.equal(output(backend), plain)


def test_between_the_steps_the_network_is_untouched(backend: StableDiffusion) -> None:
    plain = output(backend)
    edits = [SelfAttentionInjection(select(backend.sites, Kind.SELF), Until(1.0))]
    with injected(backend.network, edits) as session:
        assert torch.equal(output(backend), plain)
        with session.during(Moment(0, 1, 501), SOURCE):
            source = output(backend, 2)
        with session.during(Moment(0, 1, 501), EDITED):
            changed = output(backend)
        assert torch.equal(output(backend), plain)
    assert torch.equal(source, output(backend, 2))  # it is only looked at
    assert not torch.equal(changed, plain)


@pytest.mark.parametrize("kind", [Kind.RESIDUAL, Kind.SELF, Kind.CROSS])
def test_a_call_that_is_only_looked_at_ends_at_its_last_site(kind: Kind, backend: StableDiffusion) -> None:
    last = select(backend.sites, kind, "decoder")[1]
    edit: Edit = (FeatureInjection if kind is Kind.RESIDUAL else SelfAttentionInjection)((last,), Until(1.0))
    whole = started(backend)
    with injected(backend.network, [edit]) as session, session.during(Moment(0, 1, 501), SOURCE, last):
        cut = started(backend)
    assert cut == whole[: whole.index(last.name) + 1]


def started(backend: StableDiffusion) -> list[str]:
    """The blocks and sites that a call of two rows enters, in order, up to where it is left."""
    entered: list[str] = []
    names = [*(site.name for site in backend.sites), "up_blocks.2", "up_blocks.3", "conv_out"]
    modules = {name: backend.network.get_submodule(name) for name in names}
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: entered.append(name)) for name, module in modules.items()
    ]
    try:
        with suppress(StopForward):
            output(backend, 2)
    finally:
        for hook in hooks:
            hook.remove()
    return entered


def test_inactive_edits_change_nothing(backend: StableDiffusion) -> None:
    plain = output(backend)
    edits: list[Edit] = [
        FeatureInjection(select(backend.sites, Kind.RESIDUAL, "decoder", [4]), Until(0.0)),
        SelfAttentionInjection(select(backend.sites, Kind.SELF), Until(0.0)),
        SharedAttention(select(backend.sites, Kind.SELF), everyone=False),  # and these frames are no keyframes
    ]
    with injected(backend.network, edits) as session, session.during(Moment(0, 1, 501, (5,)), EDITED):
        assert torch.equal(output(backend), plain)
