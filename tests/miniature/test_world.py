"""The procedural world: exact motion, geometry, captions and renders."""

import dataclasses
import re
from collections.abc import Callable
from itertools import pairwise
from random import Random

import cv2
import numpy as np
import pytest
import torch

from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.recipe.judge_data import change_one_fact
from pnpvideo.miniature.world import (
    STYLES,
    Camera,
    Scene,
    Thing,
    caption,
    exact_flow,
    paint,
    random_scene,
    render,
    trace_gbuffer,
)
from pnpvideo.miniature.world.captions import (
    GROUND_WORDS,
    SHAPE_WORDS,
    SKY_WORDS,
    STYLE_TAILS,
    STYLE_WORDS,
    STYLES_WITHOUT_MATERIAL,
    STYLES_WITHOUT_SKY,
)
from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, SKY, camera_frame, thing_pose
from pnpvideo.miniature.world.questions import QUESTIONS, answers
from pnpvideo.miniature.world.scene import MOTIONS
from pnpvideo.miniature.world.shapes import SHAPES
from pnpvideo.miniature.world.solids import SOLIDS

SIZE = 96


def scene(motion: str, shape: str = "cube") -> Scene:
    thing = Thing(shape=shape, colour="orange", size=1.0, y=0.1, heading=1.2)
    return Scene(ground="stone", sky="day", things=(thing,), camera=Camera(azimuth=0.4), motions=(motion,), seed=5)


def projected(points: torch.Tensor, camera: Camera) -> torch.Tensor:
    """World points (3, n) in pixels (2, n), by the pinhole model alone."""
    origin, basis, focal = camera_frame([camera])
    seen = basis[0].T @ (points - origin[0])
    x = (seen[0] / seen[2] * focal[0, 0, 0] + 1) * SIZE / 2 - 0.5
    y = (1 - seen[1] / seen[2] * focal[0, 0, 0]) * SIZE / 2 - 0.5
    return torch.stack((x, y))


@pytest.mark.parametrize("motion", MOTIONS)
def test_flow_follows_points_of_thing_and_ground(motion: str) -> None:
    """Points of the thing, followed by their places in its own frame, and of the ground, which stays."""
    shape = "ball" if motion == "roll" else "cube"
    whole, start, end = scene(motion, shape), 0.3, 0.45
    before, after = whole.at(start), whole.at(end)
    view, flow = trace_gbuffer([before], SIZE), exact_flow(whole, start, end, SIZE).flow.reshape(2, -1)
    pixel = torch.arange(SIZE * SIZE)
    here = torch.stack((pixel % SIZE, pixel // SIZE)).float()
    on_thing, on_ground = view.ids[0] == FIRST_THING, view.ids[0] == GROUND
    assert on_thing.sum() > 300 and on_ground.sum() > 1000
    pose = thing_pose([after.things[0]], view.depth)
    moved = pose.rotation[0] @ (view.local[0] * pose.size[0]) + pose.centre[0]
    expected = projected(moved, after.camera) - here
    assert torch.allclose(flow[:, on_thing], expected[:, on_thing], atol=0.02)
    expected = projected(view.position[0], after.camera) - here
    near = on_ground & (view.depth[0] < 30)
    assert torch.allclose(flow[:, near], expected[:, near], atol=0.02)
    largest = float(flow[:, on_thing | near].abs().max())
    assert largest < 0.02 if motion == "still" else largest > 1


@pytest.mark.parametrize("motion", ["spin", "slide", "orbit", "pan", "zoom"])
def test_flow_over_a_long_time_is_the_sum_of_short_ones(motion: str) -> None:
    """Finite differences: stepping along the flow of short times ends where the flow of the whole time does."""
    whole, times = scene(motion), np.linspace(0.3, 0.6, 7)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    x, y = columns.copy(), rows.copy()
    seen = np.ones((SIZE, SIZE), bool)
    for start, end in pairwise(times):
        step = exact_flow(whole, float(start), float(end), SIZE)
        dx, dy = (cv2.remap(part.numpy(), x, y, cv2.INTER_LINEAR) for part in step.flow)
        seen &= cv2.remap(step.visible.numpy().astype(np.float32), x, y, cv2.INTER_LINEAR) > 0.999
        x, y = x + dx, y + dy
    direct = exact_flow(whole, 0.3, 0.6, SIZE)
    away = np.hypot(x - columns - direct.flow[0].numpy(), y - rows - direct.flow[1].numpy())
    sure = seen & direct.visible.numpy()
    assert sure.mean() > 0.5
    assert np.percentile(away[sure], 95) < 0.1
    assert np.hypot(*direct.flow.numpy())[sure].max() > 4


@pytest.mark.parametrize(("motion", "shape"), [("orbit", "cone"), ("pan", "cube"), ("slide", "cylinder")])
def test_warping_by_the_flow_undoes_the_motion(motion: str, shape: str) -> None:
    whole, start, end = scene(motion, shape), 0.3, 0.5
    size = 128
    before, after = (
        picture.permute(1, 2, 0).numpy()
        for picture in render([whole.at(start), whole.at(end)], ["photo"], size)["photo"]
    )
    motion_field = exact_flow(whole, start, end, size)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    x, y = columns + motion_field.flow[0].numpy(), rows + motion_field.flow[1].numpy()
    warped = cv2.remap(after, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ids = trace_gbuffer([whole.at(start)], size).ids.reshape(size, size).numpy()
    looked_at = motion_field.visible.numpy() & (ids >= FIRST_THING if motion == "slide" else ids != SKY)
    looked_at = cv2.erode(looked_at.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert looked_at.sum() > 400
    left = np.abs(before - warped)[looked_at].mean()
    there = np.abs(before - after)[looked_at].mean()
    assert left < 0.02
    assert there > 2.5 * left


def test_occluded_pixels_are_not_visible() -> None:
    """A ball slides before a cube: what it covers of the cube in the end, and only that, vanishes."""
    ball = Thing(shape="ball", colour="red", size=0.6, x=1.6, y=-0.6, heading=np.pi / 2)
    cube = Thing(shape="cube", colour="blue", size=0.9, x=-0.6, y=0.9)
    whole = Scene(
        ground="sand", sky="day", things=(ball, cube), camera=Camera(elevation=0.15, distance=8.0), motions=("slide",)
    )
    start, end = trace_gbuffer([whole.at(0.0)], SIZE), trace_gbuffer([whole.at(1.0)], SIZE)
    flow = exact_flow(whole, 0.0, 1.0, SIZE)
    on_cube = (start.ids == FIRST_THING + 1).reshape(SIZE, SIZE)
    covered = on_cube & (end.ids == FIRST_THING).reshape(SIZE, SIZE)
    assert covered.sum() > 30
    assert not flow.visible[covered].any()
    still_there = on_cube & (end.ids == FIRST_THING + 1).reshape(SIZE, SIZE)
    assert flow.visible[still_there].float().mean() > 0.98
    on_ball = (start.ids == FIRST_THING).reshape(SIZE, SIZE)
    assert flow.visible[on_ball].float().mean() > 0.9


def test_pixels_that_leave_the_picture_are_not_visible() -> None:
    flow = exact_flow(scene("pan"), 0.0, 1.0, SIZE)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    x, y = columns + flow.flow[0], rows + flow.flow[1]
    outside = (x < -0.01) | (x > SIZE - 0.99) | (y < -0.01) | (y > SIZE - 0.99)
    assert outside.sum() > SIZE
    assert not flow.visible[outside].any()


def test_flow_from_a_time_to_itself_is_zero() -> None:
    flow = exact_flow(scene("orbit"), 0.4, 0.4, SIZE)
    assert flow.flow.abs().max() < 0.02
    inner = flow.visible[2:-2, 2:-2]
    assert inner.float().mean() > 0.995


def test_the_plain_caption_describes_the_scene() -> None:
    ball = Scene(ground="grass", sky="sunset", things=(Thing(shape="ball", colour="red"),))
    assert caption(ball, "photo") == "a photo of a red ball on grass at sunset"
    two = dataclasses.replace(ball, things=(*ball.things, Thing(shape="cone", colour="orange")))
    assert caption(two, "cartoon") == "a cartoon of a red ball and an orange cone on grass at sunset"


@pytest.mark.parametrize("style", list(STYLES))
def test_every_wording_names_style_and_things_and_no_false_place(style: str) -> None:
    dropped, unsaid, reworded = 0, 0, set()
    for seed in range(200):
        whole = random_scene(HELD_OUT + seed)
        words = caption(whole, style, Random(seed))
        unsaid += not any(form in words for form in (*STYLE_WORDS[style], *STYLE_TAILS[style]))
        for thing in whole.things:
            said = f"({'|'.join(SHAPE_WORDS[thing.shape])})"
            made = "( metal| shiny metal)?" if thing.material == "metal" else "( wooden)?"
            assert re.search(rf"\b{thing.colour}{made} {said}\b", words), words
            assert thing.material != "plain" or not re.search("metal|wooden", words) or len(whole.things) > 1
        assert style not in STYLES_WITHOUT_MATERIAL or not re.search("metal|wooden", words)
        named = [
            [key for key, forms in table.items() if any(re.search(rf"\b{form}\b", words) for form in forms)]
            for table in (GROUND_WORDS, SKY_WORDS)
        ]
        assert named[0] in ([], [whole.ground]) and named[1] in ([], [whole.sky])
        assert named[0] or named[1]
        assert style not in STYLES_WITHOUT_SKY or named[1] == []
        dropped += not (named[0] and (named[1] or style in STYLES_WITHOUT_SKY))
        reworded.add(words.split()[0])
    assert (dropped == 0) if style in STYLES_WITHOUT_SKY else 5 < dropped < 60
    assert unsaid < 30
    assert len(reworded) > 3


def test_answers_are_those_of_the_scene() -> None:
    whole = random_scene(HELD_OUT + 2, things=2)
    found = answers(whole, "photo")
    assert found["style"] == {"photo"} and found["ground"] == {whole.ground} and found["sky"] == {whole.sky}
    assert found["shape"] == {thing.shape for thing in whole.things}
    assert found["thing"] == {f"{thing.colour} {thing.shape}" for thing in whole.things}
    assert answers(whole, "night")["sky"] == set()
    for question, choices in QUESTIONS.items():
        assert found[question] <= set(choices)
        wordings = [wording for words in choices.values() for wording in words]
        assert len(wordings) == len(set(wordings)), question


def test_a_false_caption_differs_in_one_fact() -> None:
    for seed in range(100):
        scene = random_scene(seed).at(0.5)
        false, style = change_one_fact(scene, "photo", Random(seed))
        told = [answers(scene, "photo"), answers(false, style)]
        changed = {name for name in told[0] if told[0][name] != told[1][name]}
        changed -= {"sky"} if style in STYLES_WITHOUT_SKY else set()  # its captions say nothing of the sky
        assert changed in ({"thing"}, {"thing", "colour"}, {"thing", "shape"}, {"ground"}, {"sky"}, {"style"})
        assert len(scene.things) == len(false.things)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_depth_position_and_normal_agree(shape: str) -> None:
    """Finite differences: the normal is across the surface through neighbouring pixels' positions."""
    size = 192
    view = trace_gbuffer([scene("still", shape).at(0.5)], size)
    assert torch.allclose(view.position, view.origin + view.directions * view.depth.unsqueeze(1), atol=1e-4)
    position = view.position[0].reshape(3, size, size)
    normal = view.normal[0].reshape(3, size, size)
    surface = view.surface[0].reshape(size, size)
    across = position[:, 1:-1, 2:] - position[:, 1:-1, :-2]
    down = position[:, 2:, 1:-1] - position[:, :-2, 1:-1]
    measured = torch.linalg.cross(down, across, dim=0)
    measured = measured / measured.norm(dim=0).clamp(min=1e-9)
    same = surface[1:-1, 1:-1] >= FIRST_THING
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        same &= surface[rows : size - 2 + rows, columns : size - 2 + columns] == surface[1:-1, 1:-1]
        neighbour = normal[:, rows : size - 2 + rows, columns : size - 2 + columns]
        same &= (neighbour * normal[:, 1:-1, 1:-1]).sum(0) > 0.9
    agreement = (measured * normal[:, 1:-1, 1:-1]).sum(0)[same]
    assert same.sum() > 300
    assert agreement.quantile(0.05) > 0.97


@pytest.mark.parametrize("solid", list(SOLIDS))
def test_ray_intersections_match_ray_marching(solid: str) -> None:
    """The reference: small steps along the ray until the solid's own inequality holds."""
    inside: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "ball": lambda p: (p * p).sum(-1) <= 1,
        "cube": lambda p: p.abs().amax(-1) <= 1,
        "cylinder": lambda p: (p[..., :2].square().sum(-1) <= 1) & (p[..., 2].abs() <= 1),
        "wheel": lambda p: (p[..., [0, 2]].square().sum(-1) <= 1) & (p[..., 1].abs() <= 1),
        "cone": lambda p: (p[..., :2].norm(dim=-1) <= (1 - p[..., 2]) / 2) & (p[..., 2].abs() <= 1),
        "prism": lambda p: (p[..., 0].abs() <= (1 - p[..., 2]) / 2) & (p[..., 2] >= -1) & (p[..., 1].abs() <= 1),
        "hull": lambda p: (
            (p[..., 2].abs() <= 1)
            & (p[..., 1].abs() <= 0.7 + 0.3 * p[..., 2])
            & (-p[..., 0] <= 0.75 + 0.25 * p[..., 2])
            & (0.8 * p[..., 0] + 0.6 * p[..., 1].abs() <= 0.5 + 0.3 * p[..., 2])
        ),
    }
    generator = torch.Generator().manual_seed(3)
    start = torch.nn.functional.normalize(torch.randn(300, 3, generator=generator), dim=1) * 4
    toward = torch.rand(300, 3, generator=generator) * 2 - 1
    direction = torch.nn.functional.normalize(toward - start, dim=1)
    near, hit, normal = SOLIDS[solid](start, direction)
    step = 0.004
    way = torch.arange(0, 8, step)
    within = inside[solid](start[:, None] + direction[:, None] * way[:, None])
    met = within.any(1)
    thick = within.sum(1) > 3
    assert torch.equal(hit & thick, met & thick) and hit.sum() > 80
    first = way[within.float().argmax(1)]
    assert (first - near)[thick].abs().max() < 1.5 * step
    assert ((normal * direction).sum(1) < 0)[thick].all()


def test_things_can_move_together() -> None:
    things = (Thing(shape="ball", colour="red"), Thing(shape="car", colour="blue", x=1.0, y=2.0))
    whole = Scene(ground="sand", sky="day", things=things, motions=("roll", "slide", "orbit"))
    start, end = whole.at(0.0), whole.at(1.0)
    assert start.things[0].roll_angle != end.things[0].roll_angle
    assert start.things[1].x != end.things[1].x and end.things[1].roll_angle == 0
    assert start.camera.azimuth != end.camera.azimuth
    flow = exact_flow(whole, 0.4, 0.6, SIZE)
    ids = trace_gbuffer([whole.at(0.4)], SIZE).ids.reshape(SIZE, SIZE)
    for slot in range(2):
        assert flow.flow[:, ids == FIRST_THING + slot].abs().max() > 1


def test_styles_share_one_geometry() -> None:
    """Changing the colour of the cube changes every style on and close to the cube only."""
    whole = scene("still")
    other = dataclasses.replace(whole, things=(dataclasses.replace(whole.things[0], colour="blue"),))
    views = [trace_gbuffer([each.at(0.5)], 2 * SIZE) for each in (whole, other)]
    assert torch.equal(views[0].ids, views[1].ids) and torch.equal(views[0].depth, views[1].depth)
    on_thing = (views[0].ids == FIRST_THING).reshape(2 * SIZE, 2 * SIZE)
    share = torch.nn.functional.avg_pool2d(on_thing[None, None].float(), 2)[0, 0]
    bleeding = 7  # pixels that watercolor runs over a border, at most
    away = torch.nn.functional.max_pool2d(share[None], bleeding, 1, bleeding // 2)[0] == 0
    for style in STYLES:
        a, b = (render([each.at(0.5)], [style], SIZE)[style][0] for each in (whole, other))
        changed = (a - b).abs().amax(0) > 1 / 255
        assert not changed[away].any(), style
        assert changed[share == 1].float().mean() > 0.5, style
        kept = {name: getattr(views[0], name).clone() for name in ("ids", "depth", "normal", "albedo", "position")}
        paint(views[0], style)
        assert all(torch.equal(getattr(views[0], name), value) for name, value in kept.items()), style


def test_renders_are_deterministic_and_independent_of_the_batch() -> None:
    moments = [random_scene(HELD_OUT + seed).at(0.25) for seed in range(3)]
    together, again = (render(moments, list(STYLES), 64) for _ in range(2))
    for style in STYLES:
        assert together[style].shape == (3, 3, 64, 64)
        assert together[style].min() >= 0 and together[style].max() <= 1
        assert torch.equal(together[style], again[style])
        for index, moment in enumerate(moments):
            alone = render([moment], [style], 64)[style][0]
            assert (alone - together[style][index]).abs().mean() < 1e-3


def test_a_seed_determines_the_scene_and_seeds_cover_the_world() -> None:
    assert random_scene(HELD_OUT + 1) == random_scene(HELD_OUT + 1)
    scenes = [random_scene(HELD_OUT + seed) for seed in range(64)]
    assert len({dataclasses.replace(each, seed=0) for each in scenes}) == 64
    assert {motion for each in scenes for motion in each.motions} == set(MOTIONS)
    assert {thing.shape for each in scenes for thing in each.things} == set(SHAPES)
    assert {len(each.things) for each in scenes} == {1, 2, 3}
    assert random_scene(7, things=3, motion="spin").motions == ("spin",)
    assert len(random_scene(7, things=3).things) == 3


def test_lines_of_a_sketch_scale_with_its_size() -> None:
    """A sketch rendered at half size has about the same share of lines as one scaled down."""

    def dark(pictures: torch.Tensor) -> float:
        return float((pictures.mean(1) < 0.45).float().mean())

    scenes = [random_scene(number, things=1).at(0.5) for number in (3, 4, 5, 6)]
    small = dark(torch.cat([render([scene], ["sketch"], 128)["sketch"] for scene in scenes]))
    whole = torch.cat([render([scene], ["sketch"], 256)["sketch"] for scene in scenes])
    assert small == pytest.approx(dark(torch.nn.functional.avg_pool2d(whole, 2)), rel=0.35)
