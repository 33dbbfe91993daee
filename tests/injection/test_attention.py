"""The attention adapter computes what diffusers computes, and refuses what it would otherwise drop."""

from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

from pnpvideo.errors import ModelError
from pnpvideo.injection import AttentionCall, Kind, Lanes, Moment, Site, injected
from pnpvideo.injection.edit import Attend

SITE, NOW = Site("attention", Kind.SELF, "decoder", 4), Moment(0, 1, 501)
LANES = Lanes(("empty", "positive"), (0, 1, 2))


class Unchanged:
    """An edit that is active and changes nothing."""

    sites = (SITE,)

    def begin(self, moment: Moment) -> None: ...

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return True

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        return attend(call)


def network(**settings: Any) -> Any:
    torch.manual_seed(0)
    holder: Any = nn.Module()
    holder.attention = Attention(16, heads=2, dim_head=8, processor=AttnProcessor2_0(), **settings)
    return holder.requires_grad_(False)


def hidden() -> Tensor:
    return torch.randn((6, 9, 16), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("text", [None, torch.ones(6, 5, 12)])
def test_an_edit_that_changes_nothing_gives_the_processors_output(text: Tensor | None) -> None:
    unet = network(cross_attention_dim=None if text is None else 12)
    expected = unet.attention(hidden(), text)
    with injected(unet, [Unchanged()]) as session, session.during(NOW, LANES):
        found = unet.attention(hidden(), text)
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"norm_num_groups": 4}, "group_norm = GroupNorm"),
        ({"qk_norm": "layer_norm"}, "norm_q = LayerNorm"),
        ({"residual_connection": True}, "residual_connection = True"),
        ({"rescale_output_factor": 2.0}, r"rescale_output_factor = 2\.0"),
        ({"cross_attention_norm": "layer_norm", "cross_attention_dim": 12}, "norm_cross = LayerNorm"),
    ],
)
def test_a_layer_that_computes_more_is_refused_before_any_call(settings: dict[str, Any], named: str) -> None:
    unet = network(**settings)
    before = unet.attention.processor
    with pytest.raises(ModelError, match=named), injected(unet, [Unchanged()]):
        pass
    assert unet.attention.processor is before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"attention_mask": torch.zeros(6, 9)}, "attention_mask"), ({"temb": torch.ones(1)}, "temb")],
)
def test_an_argument_that_an_edit_would_drop_is_refused(arguments: dict[str, Any], named: str) -> None:
    unet = network()
    with (
        injected(unet, [Unchanged()]) as session,
        session.during(NOW, LANES),
        pytest.raises(ModelError, match=f"called with {named}"),
    ):
        unet.attention(hidden(), **arguments)


def test_a_picture_that_was_not_flattened_is_refused() -> None:
    unet = network()
    with (
        injected(unet, [Unchanged()]) as session,
        session.during(NOW, LANES),
        pytest.raises(ModelError, match="4 dimensions"),
    ):
        unet.attention(hidden().reshape(6, 16, 3, 3))
