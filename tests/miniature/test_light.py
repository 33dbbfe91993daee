"""Shading terms and textures that the styles share."""

import dataclasses

import pytest
import torch

from pnpvideo.miniature.world import GBuffer, Scene, Thing, trace_gbuffer
from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, SKY
from pnpvideo.miniature.world.light import (
    contact_shadow,
    hard_shadow,
    id_mask,
    material_mask,
    outline,
    pixel_coordinates,
    plain_albedo,
    sun_direction,
    sun_visibility,
    surface_edges,
    values,
)
from pnpvideo.miniature.world.scene import COLOURS
from pnpvideo.miniature.world.shapes import METAL, PLAIN
from pnpvideo.miniature.world.texture import noise

SIZE = 64


def scene(**changes: object) -> Scene:
    thing = Thing(shape="cube", colour="red", material="metal")
    return dataclasses.replace(Scene(ground="sand", sky="day", things=(thing,)), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def view() -> GBuffer:
    return trace_gbuffer([scene().at(0.5)], SIZE)


def grid(values: torch.Tensor) -> torch.Tensor:
    """(b, 1, n) -> (SIZE, SIZE) of the first instant."""
    return values[0, 0].reshape(SIZE, SIZE)


def test_masks_split_the_picture_into_sky_ground_and_thing(view: GBuffer) -> None:
    parts = [id_mask(view, which) for which in (SKY, GROUND, FIRST_THING)]
    assert all(part.any() for part in parts) and (torch.stack(parts).sum(0) == 1).all()
    assert torch.equal(material_mask(view, METAL), parts[2])
    assert not (material_mask(view, PLAIN) & parts[2]).any()


def test_values_and_albedo_follow_each_instant() -> None:
    both = trace_gbuffer([scene().at(0.5), scene(ground="snow").at(0.5)], SIZE)
    assert values(both, lambda instant: (float(instant.ground == "snow"), 2.0)).tolist() == [[[0], [2]], [[1], [2]]]
    colours = plain_albedo(both, {"sand": (0.1, 0.2, 0.3), "snow": (0.4, 0.5, 0.6)})
    ground = both.ids == GROUND
    assert torch.allclose(colours[0][:, ground[0]].T, torch.tensor([0.1, 0.2, 0.3]))
    assert torch.allclose(colours[1][:, ground[1]].T, torch.tensor([0.4, 0.5, 0.6]))
    assert torch.allclose(colours[0][:, both.ids[0] == FIRST_THING].T, torch.tensor(COLOURS["red"]))


def test_the_sun_is_a_unit_direction_and_lower_at_sunset() -> None:
    both = trace_gbuffer([scene().at(0.5), scene(sky="sunset").at(0.5)], 8)
    sun = sun_direction(both)
    assert torch.allclose(sun.norm(dim=1), torch.ones(2, 1))
    assert 0 < sun[1, 2] < sun[0, 2]


def test_a_thing_casts_a_shadow_on_the_ground_alone(view: GBuffer) -> None:
    shadow = hard_shadow(view)
    assert 20 < shadow.sum() < 0.3 * SIZE**2
    assert not (shadow & (view.ids != GROUND)).any()
    empty = trace_gbuffer([scene(things=(Thing(shape="cube", colour="red", y=500.0),)).at(0.5)], SIZE)
    assert not hard_shadow(empty).any()


def test_the_soft_shadow_has_a_half_lit_rim_around_the_hard_one(view: GBuffer) -> None:
    visible = sun_visibility(view, torch.full((1, 1, 1), 0.1))[:, 0]
    on_ground = view.ids == GROUND
    assert visible.min() == 0 and visible.max() == 1
    rim = on_ground & (visible > 0.1) & (visible < 0.9)
    assert rim.any()
    assert (visible[hard_shadow(view)]).mean() < 0.4 < 0.95 < visible[on_ground & ~hard_shadow(view)].mean()


def test_the_contact_shadow_darkens_the_ground_near_a_thing_that_stands_on_it(view: GBuffer) -> None:
    distance = view.position[0, :2].norm(dim=0)
    shade = contact_shadow(view)[0, 0]
    on_ground = view.ids[0] == GROUND
    assert shade.min() < 0.6 and shade[on_ground & (distance > 4)].min() > 0.98
    lifted = trace_gbuffer([scene(things=(Thing(shape="cube", colour="red", lift=3.0),)).at(0.5)], SIZE)
    assert contact_shadow(lifted).min() > 0.95


def test_edges_are_on_the_border_of_the_thing_and_as_wide_as_asked(view: GBuffer) -> None:
    thin, wide = (grid(surface_edges(view, reach)) for reach in (0, 2))
    thing = (view.ids == FIRST_THING).reshape(SIZE, SIZE)
    border = thing[:, 1:] != thing[:, :-1]
    assert thin[:, 1:][border].all() and wide[:, 1:][border].all() and wide[:, :-1][border].all()
    assert 3 < wide.sum() / thin.sum() < 5
    assert not wide[0].any()  # the sky has none
    assert torch.equal(outline(view, 16), surface_edges(view, 2))


def test_pixel_coordinates_are_those_of_a_picture_256_wide(view: GBuffer) -> None:
    columns, rows = (axis.reshape(SIZE, SIZE) for axis in pixel_coordinates(view))
    assert columns[0, 0] == rows[0, 0] == 2 and columns[0, -1] == rows[-1, 0] == 254
    assert torch.equal(columns, rows.T)


@pytest.mark.parametrize("channel", range(4))
def test_noise_has_mean_a_half_and_repeats_without_a_seam(channel: int, view: GBuffer) -> None:
    axis = torch.arange(SIZE) / SIZE
    place = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).reshape(1, 2, -1)
    found = noise(place, view, channel)
    assert found.min() >= 0 and found.max() <= 1 and found.mean() == pytest.approx(0.5, abs=0.03)
    assert torch.allclose(found, noise(place + 1, view, channel), atol=1e-3)
    assert (noise(place + 1e-4, view, channel) - found).abs().max() < 0.02  # across the seam, too
    other = trace_gbuffer([scene(seed=3).at(0.5)], SIZE)
    assert (noise(place, other, channel) - found).abs().mean() > 0.05
