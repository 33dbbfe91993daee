"""Which sites and grids an inspection takes."""

from typing import Any

import pytest

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.errors import ModelError, NoMatchingSite, OptionError
from pnpvideo.injection import Kind
from pnpvideo.inspect import View
from pnpvideo.inspect.view import grid_of


def test_sites_are_chosen_by_kind_part_and_layer(backend: StableDiffusion) -> None:
    assert [site.layer for site in View().select(backend.sites, Kind.RESIDUAL)] == [*range(12)]
    encoder = View(part="encoder", layers=(0, 2)).select(backend.sites, Kind.SELF)
    assert [(site.part, site.layer) for site in encoder] == [("encoder", 0), ("encoder", 2)]
    everywhere = View().select(backend.sites, Kind.CROSS, part=None)
    assert {site.part for site in everywhere} == {"encoder", "middle", "decoder"}


def test_a_network_without_a_decoder_is_shown_whole(joint_backend: StableDiffusion3) -> None:
    assert [site.layer for site in View().select(joint_backend.sites, Kind.RESIDUAL)] == [0, 1, 2]
    assert View(part="transformer").select(joint_backend.sites, Kind.SELF) == View().select(
        joint_backend.sites, Kind.SELF
    )
    with pytest.raises(NoMatchingSite, match="no residual site in the decoder"):
        View(part="decoder").select(joint_backend.sites, Kind.RESIDUAL)


def test_a_site_is_named_as_the_network_names_it(backend: StableDiffusion) -> None:
    (site,) = View(sites=("up_blocks.1.resnets.1.conv2",)).select(backend.sites, Kind.SELF)
    assert (site.kind, site.layer) == (Kind.RESIDUAL, 4)
    with pytest.raises(NoMatchingSite, match=r"no site .*; similar ones: up_blocks\.1\.resnets\.1\.conv2"):
        View(sites=("up_blocks.1.resnet.1.conv2",)).select(backend.sites, Kind.SELF)
    with pytest.raises(OptionError, match=r"conv2 is no self-attention; name sites that are, such as .*attn1"):
        View(sites=(site.name,)).select_only(backend.sites, Kind.SELF)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"pictures": 0}, "pictures is 0; accepted is a whole number of at least 1"),
        ({"part": "top"}, "part is 'top'; accepted: encoder, middle, decoder, transformer"),
        ({"timesteps": (1200.0,)}, "accepted are numbers from 0 to 1000"),
        ({"layers": (-1,)}, "count from 0"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        View(**values)


def test_the_grid_of_a_layer_follows_from_the_latents(backend: StableDiffusion) -> None:
    site = backend.sites[0]
    assert grid_of(site, 16 * 29, (32, 57)) == (16, 29)
    with pytest.raises(ModelError, match="has 7 tokens, which are no grid over latents of 57 x 32"):
        grid_of(site, 7, (32, 57))
