"""What makes each style that style, on one scene."""

import dataclasses

import pytest
import torch

from pnpvideo.miniature.world import GBuffer, Scene, Thing, trace_gbuffer
from pnpvideo.miniature.world.flow import Flow, exact_flow
from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, SKY
from pnpvideo.miniature.world.light import hard_shadow, outline
from pnpvideo.miniature.world.styles import STYLES, paint, render
from pnpvideo.miniature.world.styles.cartoon import FLAT_GROUND, cartoon
from pnpvideo.miniature.world.styles.clay import clay
from pnpvideo.miniature.world.styles.photo import night, photo
from pnpvideo.miniature.world.styles.sketch import sketch
from pnpvideo.miniature.world.styles.watercolor import watercolor

SIZE = 128
SCENE = Scene(ground="grass", sky="day", things=(Thing(shape="cube", colour="red"),), seed=4)


@pytest.fixture(scope="module")
def view() -> GBuffer:
    return trace_gbuffer([SCENE.at(0.5)], SIZE)


def mean(picture: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Mean colour (3,) of the rays ``where`` (1, n)."""
    return picture[0][:, where[0]].mean(1)


@pytest.mark.parametrize("name", list(STYLES))
def test_a_picture_is_the_average_of_its_rays(name: str, view: GBuffer) -> None:
    rays = STYLES[name](view)
    assert rays.shape == (1, 3, SIZE * SIZE) and torch.isfinite(rays).all()
    picture = paint(view, name, supersample=2)
    expected = torch.nn.functional.avg_pool2d(rays.reshape(1, 3, SIZE, SIZE), 2).clamp(0, 1)
    assert torch.equal(picture, expected)
    assert torch.equal(render([SCENE.at(0.5)], [name], SIZE // 2)[name], expected)


@pytest.mark.parametrize("name", list(STYLES))
def test_a_red_cube_is_reddest_in_the_picture(name: str, view: GBuffer) -> None:
    rays, thing = STYLES[name](view), view.ids == FIRST_THING
    redness = [float(colour[0] - colour[1]) for colour in (mean(rays, thing), mean(rays, ~thing))]
    assert redness[0] > 0.05 and redness[0] > redness[1] + 0.05


def test_a_cartoon_has_few_flat_colours_and_dark_outlines(view: GBuffer) -> None:
    rays = cartoon(view)
    ground = (view.ids == GROUND) & ~outline(view, 2)[:, 0]
    found = {tuple(colour) for colour in (rays[0][:, ground[0]].T * 1000).round().int().tolist()}
    lit = tuple(round(1000 * value) for value in FLAT_GROUND["grass"])
    assert lit in found and len(found) == 2  # lit and shaded
    assert rays[0][:, outline(view, 2)[0, 0]].max() < 0.15


def test_light_and_shadow_differ_in_a_photo(view: GBuffer) -> None:
    rays, shadow = photo(view), hard_shadow(view)
    ground = view.ids == GROUND
    assert mean(rays, ground & shadow).mean() < 0.8 * mean(rays, ground & ~shadow).mean()


def test_a_night_photo_is_much_darker_and_blue(view: GBuffer) -> None:
    day, dark = (mean(picture, torch.ones_like(view.ids, dtype=torch.bool)) for picture in (photo(view), night(view)))
    assert dark.mean() < 0.6 * day.mean()
    sky = mean(night(view), view.ids == SKY)
    assert sky[2] > 1.2 * sky[0]


def test_the_sky_colours_the_photo() -> None:
    def sky(name: str) -> torch.Tensor:
        at = trace_gbuffer([dataclasses.replace(SCENE, sky=name).at(0.5)], SIZE)
        return mean(photo(at), at.ids == SKY)

    day, sunset, overcast = (sky(name) for name in ("day", "sunset", "overcast"))
    assert day[2] > day[0] and sunset[0] > sunset[2]
    assert (overcast.max() - overcast.min()) < (day.max() - day.min())


def test_a_sketch_leaves_paper_between_the_strokes(view: GBuffer) -> None:
    rays = sketch(view)
    bright = rays[0].mean(0)
    assert rays.max() < 0.98  # no brighter than the paper
    sky = view.ids[0] == SKY
    assert bright[sky].std() > 0.02
    assert bright[outline(view, 1)[0, 0]].mean() < 0.5 < bright[sky].mean()


def test_clay_has_lumps_where_a_cartoon_is_flat(view: GBuffer) -> None:
    def roughness(rays: torch.Tensor) -> float:
        ground = (view.ids == GROUND).reshape(SIZE, SIZE)[-24:]
        steps = rays[0].mean(0).reshape(SIZE, SIZE)[-24:].diff(dim=1).abs()
        return float(steps[ground[:, 1:] & ground[:, :-1]].median())

    assert roughness(cartoon(view)) == 0 < roughness(clay(view))


def test_watercolor_is_lighter_than_its_pigment_and_darker_at_the_rims(view: GBuffer) -> None:
    rays, flat = watercolor(view), cartoon(view)
    everywhere = torch.ones_like(view.ids, dtype=torch.bool)
    assert mean(rays, everywhere).mean() > mean(flat, everywhere).mean()
    rim = outline(view, 4)[:, 0] & (view.ids == GROUND)
    ground = (view.ids == GROUND) & ~outline(view, 16)[:, 0] & ~hard_shadow(view)
    assert mean(rays, rim).mean() < mean(rays, ground).mean()


def test_flow_of_a_camera_that_pans_is_sideways_and_of_a_still_is_nothing() -> None:
    moving = dataclasses.replace(SCENE, motions=("pan",))
    found = exact_flow(moving, 0.4, 0.5, 32)
    assert isinstance(found, Flow) and found.flow.shape == (2, 32, 32) and found.visible.shape == (32, 32)
    on_thing = (trace_gbuffer([moving.at(0.4)], 32).ids == FIRST_THING).reshape(32, 32)
    x, y = found.flow[:, on_thing]
    assert x.abs().min() > 5 * y.abs().max()
    assert exact_flow(SCENE, 0.4, 0.5, 32).flow.abs().max() < 0.01
