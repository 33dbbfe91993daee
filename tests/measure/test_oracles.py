"""Every measure scores the truth as perfect, and falls for the defect that it is there to detect."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pnpvideo.measure.edges import edge_agreement
from pnpvideo.measure.fidelity import colour_error, fidelity, structural_similarity, worst_block
from pnpvideo.measure.figures import measure_all
from pnpvideo.measure.footage import Footage, baselines, blur
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.judge_measures import structure_distance
from pnpvideo.measure.masks import mask_agreement
from pnpvideo.measure.motion import Motion, estimated_motion, visible_pixels
from pnpvideo.measure.outline import REACH, outline_error
from pnpvideo.measure.sharpness import gradient, laplacian, sharpness
from pnpvideo.measure.temporal import drift, flicker, warp_error
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import random_scene
from pnpvideo.miniature.world.shapes import SIMPLE

FRAMES, SIZE = 5, 256
Figures = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module", params=[("cartoon", 4), ("sketch", 9)], ids=["cartoon", "sketch"])
def footage(request: pytest.FixtureRequest) -> Footage:
    drawn, seed = request.param
    return Footage(random_scene(HELD_OUT + seed, things=1, motion="slide", shapes=SIMPLE), drawn, "photo", FRAMES, SIZE)


@pytest.fixture(scope="module")
def found(judge: Judge, footage: Footage) -> Figures:
    """The figures of the baselines, and of the truth with each defect."""
    truth = footage.truth
    results = baselines(footage) | {
        "blurred": blur(truth),
        "shuffled": [truth[frame] for frame in (3, 0, 4, 1, 2)],
        "lagging": [truth[0], *truth[:-1]],
        "flickering": [
            np.clip(frame.astype(int) + 12 * (-1) ** t, 0, 255).astype(np.uint8) for t, frame in enumerate(truth)
        ],
        "drifting": [np.clip(frame.astype(int) - 14 * t, 0, 255).astype(np.uint8) for t, frame in enumerate(truth)],
        "another colour": [np.roll(frame, 1, axis=2) for frame in truth],
        "moved aside": [np.roll(frame, 12, axis=1) for frame in truth],
        "noise": list(np.random.default_rng(0).integers(0, 255, (FRAMES, SIZE, SIZE, 3)).astype(np.uint8)),
        "another scene": Footage(random_scene(HELD_OUT + 31, things=1), "cartoon", "photo", FRAMES, SIZE).truth,
    }
    return {name: measure_all(judge, footage, result) for name, result in results.items()}


def test_the_truth_scores_perfectly(found: Figures) -> None:
    truth = found["truth"]
    assert truth["psnr"] == float("inf")
    assert truth["ssim"] == pytest.approx(1, abs=1e-4)
    assert truth["colour_inside"] == truth["colour_outside"] == 0
    assert truth["success"] == 1 and truth["found"] > 0.75
    assert truth["flicker"] < 0.5
    assert truth["edges"] > 0.7 and truth["masks"] > 0.85
    assert truth["sharp_inside"] == truth["sharp_outside"] == truth["laplacian"] == 1
    assert truth["worst"] == truth["outline"] == truth["spill"] == 0
    for name, row in found.items():
        if name not in ("truth", "source"):  # the drawing's own lines are sharper than any photo's
            assert row["edges"] <= truth["edges"] + 0.05, name


@pytest.mark.parametrize(
    ("defect", "measure", "share"),
    [
        ("blurred", "ssim", 0.95),
        ("another colour", "ssim", 0.99),
        ("moved aside", "edges", 0.7),
        ("moved aside", "masks", 0.85),
        ("lagging", "edges", 0.9),
        ("lagging", "masks", 0.97),
        ("one colour", "edges", 0.01),
        ("noise", "masks", 0.5),
        ("noise", "match", 0.5),
        ("noise", "found", 0.7),
        ("one colour", "match", 0.6),
        ("one colour", "found", 0.9),
        ("another scene", "match", 0.6),
        ("another scene", "found", 0.9),
        ("source", "found", 0.9),
        ("blurred", "sharp_inside", 0.85),
        ("blurred", "sharp_outside", 0.9),
        ("blurred", "laplacian", 0.5),
    ],
)
def test_a_defect_lowers_the_measure(defect: str, measure: str, share: float, found: Figures) -> None:
    assert found[defect][measure] < share * found["truth"][measure]


@pytest.mark.parametrize(
    ("defect", "measure", "times"),
    [
        ("shuffled", "warp", 2.0),
        ("flickering", "warp", 2.0),
        ("drifting", "drift", 2.0),
        ("source", "warp", 1.2),
    ],
)
def test_a_defect_raises_the_measure(defect: str, measure: str, times: float, found: Figures) -> None:
    assert found[defect][measure] > times * found["truth"][measure]


def test_the_source_is_no_success_and_far_from_the_truth(found: Figures) -> None:
    source = found["source"]
    assert source["success"] == 0 and source["match"] < found["truth"]["match"]
    assert source["structure"] == pytest.approx(0, abs=1e-6)
    assert found["truth"]["structure"] > 1e-3
    assert source["psnr"] < 25
    assert source["colour_outside"] > 5


def test_psnr_falls_with_lag_and_shuffling(found: Figures) -> None:
    for defect, most in (("lagging", 30), ("shuffled", 25), ("blurred", 36), ("moved aside", 30)):
        assert found[defect]["psnr"] < most, defect


def test_outline_and_worst_block_rise_with_misplaced_objects(found: Figures) -> None:
    assert 4 < found["moved aside"]["outline"] < 12 and found["moved aside"]["spill"] > 0.15
    assert found["lagging"]["outline"] > 1
    assert found["flickering"]["worst"] > 8 and found["another scene"]["worst"] > 25
    assert found["noise"]["laplacian"] > 3


def test_a_lobe_on_an_outline_is_spill_and_a_bright_spot_is_a_worst_block() -> None:
    truth, mask = np.full((64, 64, 3), 60, np.uint8), np.zeros((64, 64), bool)
    cv2.circle(lit := mask.astype(np.uint8), (32, 32), 14, 1, -1)
    mask = lit > 0
    truth[mask] = (220, 30, 30)
    assert outline_error([truth], [truth], [mask]) == (0, 0)
    larger = truth.copy()
    cv2.circle(larger, (32, 32), 18, (220, 30, 30), -1)
    distance, spill = outline_error([larger], [truth], [mask])
    assert distance == pytest.approx(4, abs=1) and spill == pytest.approx(2 / (REACH - 2), abs=0.12)
    smaller = truth.copy()
    cv2.circle(smaller, (32, 32), 14, (60, 60, 60), -1)
    cv2.circle(smaller, (32, 32), 11, (220, 30, 30), -1)
    distance, spill = outline_error([smaller], [truth], [mask])
    assert distance == pytest.approx(3, abs=1) and spill == 0
    alike = np.full_like(truth, 60)
    assert np.isnan(outline_error([alike], [alike], [mask])).all()
    spot = truth.copy()
    spot[:16, :16] += 40
    assert worst_block([spot], [truth]) == 40 and worst_block([truth], [truth]) == 0


def test_sharpness_is_measured_inside_the_mask() -> None:
    truth = np.zeros((32, 32, 3), np.uint8)
    truth[:, ::2] = 100
    half = truth.copy()
    half[:, 16:] //= 2
    left = np.zeros((32, 32), bool)
    left[:, :15] = True
    assert sharpness([half], [truth], [left]) == (1, 1)
    assert sharpness([half], [truth], [~left])[0] == pytest.approx(0.5, abs=0.03)
    assert gradient(truth) == 50 and laplacian(truth) == 50
    assert np.isnan(gradient(truth, ~(left | True))) and np.isnan(sharpness([truth], [truth], [~(left | True)])[0])


@pytest.mark.parametrize("shift", [(-2, 0), (2, 0), (0, -2), (0, 2)])
def test_edge_agreement_is_symmetric_to_shifts(shift: tuple[int, int], found: Figures, footage: Footage) -> None:
    moved = [np.roll(frame, shift, axis=(0, 1)) for frame in footage.truth]
    scores = [edge_agreement(*pair) for pair in zip(moved, footage.lines, strict=True)]
    assert 0.5 * found["truth"]["edges"] < np.mean(scores) < found["truth"]["edges"] + 0.06


def test_flicker_counts_only_what_stands_still() -> None:
    still = np.zeros((8, 8), bool)
    still[:, :4] = True
    frames = [np.zeros((8, 8, 3), np.uint8) for _ in range(3)]
    frames[1][:, 4:] = 200  # moves, and is not looked at
    assert flicker(frames, still) == 0
    frames[1][:, :4] = 6
    assert flicker(frames, still) == 6
    assert np.isnan(flicker(frames, ~(still | True)))


def test_still_pixels_are_those_that_no_thing_and_no_shadow_touches(footage: Footage) -> None:
    assert 0.2 < footage.still_mask.mean() < 0.95
    for mask in footage.masks:
        assert not (footage.still_mask & mask).any()


def test_warp_error_of_a_picture_that_moves_as_a_whole() -> None:
    wide = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8), (0, 0), 3)
    frames = [np.ascontiguousarray(wide[:, 4 * t : 4 * t + 64]) for t in range(4)]
    flow = np.zeros((2, 64, 64), np.float32)
    flow[0] = -4
    visible = np.ones((64, 64), bool)
    visible[:, :4] = False
    motions = [Motion(flow, visible)] * 3
    assert warp_error(frames, motions) == pytest.approx(0, abs=1e-10)
    assert drift([frames[0], frames[1]], motions[0]) == pytest.approx(0, abs=1e-10)
    assert warp_error(frames, [Motion(0 * flow, visible)] * 3) > 3e-4
    with pytest.raises(ValueError, match="4 frames and 2 motions"):
        warp_error(frames, motions[:2])


def test_estimated_motion_is_the_exact_one_where_both_see(footage: Footage) -> None:
    slow = replace(footage, frames=17)
    exact, guess = slow.motions[7], estimated_motion(slow.truth[7], slow.truth[8])
    moving = slow.masks[7] & exact.visible & guess.visible
    assert moving.sum() > 200
    away = np.hypot(*(exact.flow - guess.flow))[moving]
    assert np.median(away) < 1.5 < np.median(np.hypot(*exact.flow[:, moving]))


def test_visible_pixels_are_those_of_the_published_conditions() -> None:
    """Ruder and others, 2016, pixel by pixel, on flows of which each condition excludes some."""
    height, width = 24, 32
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = 4 + 0.05 * x + 3 * (x > 16), -2 + 0.3 * np.maximum(0, y - 16)
    forward = np.stack([u, v]).astype(np.float32)
    backward = -forward - np.stack([0.06 * y, 0.3 * np.sin(x / 3)]).astype(np.float32)
    found = visible_pixels(forward, backward)
    reasons: list[str] = []
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            f = forward[:, row, column]
            place = column + f[0], row + f[1]
            if not (0 <= place[0] <= width - 1 and 0 <= place[1] <= height - 1):
                reason = "outside"
            else:
                left, top = min(int(place[0]), width - 2), min(int(place[1]), height - 2)
                right, down = place[0] - left, place[1] - top
                upper, lower = (
                    (1 - right) * backward[:, line, left] + right * backward[:, line, left + 1]
                    for line in (top, top + 1)
                )
                b = (1 - down) * upper + down * lower
                across = (forward[:, row, column + 1] - forward[:, row, column - 1]) / 2
                along = (forward[:, row + 1, column] - forward[:, row - 1, column]) / 2
                excess = ((f + b) ** 2).sum() - 0.01 * ((f**2).sum() + (b**2).sum()) - 0.5
                slope = (across**2).sum() + (along**2).sum() - 0.01 * (f**2).sum() - 0.002
                if abs(excess) < 0.05 or abs(slope) < 1e-3:  # OpenCV's places are in steps of a 32nd of a pixel
                    continue
                reason = "lost" if excess > 0 else "border" if slope > 0 else "visible"
            reasons.append(reason)
            assert found[row, column] == (reason == "visible"), (row, column, reason)
    assert min(Counter(reasons)[reason] for reason in ("outside", "lost", "border", "visible")) > 10, Counter(reasons)


def plain_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004, eq. 13, with an 11 x 11 Gaussian of 1.5, written out, for the middle of the picture."""
    x, y = a.astype(np.float64) / 255, b.astype(np.float64) / 255

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    found = (2 * mx * my + 0.01**2) * (2 * cov + 0.03**2) / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2))
    return float(found.mean())


def test_ssim_matches_the_paper(footage: Footage) -> None:
    ours, theirs = footage.source[0], footage.truth[0]
    assert structural_similarity([ours], [theirs]) == pytest.approx(plain_ssim(ours, theirs), abs=5e-3)


def test_colour_error_is_the_distance_of_mean_colours() -> None:
    grey, white = (np.full((16, 16, 3), level, np.uint8) for level in (119, 255))
    region = np.zeros((16, 16), bool)
    region[:8] = True
    assert colour_error([grey], [white], [region]) == pytest.approx(50, abs=0.5)  # L* of 119 is 50, of 255 100
    assert np.isnan(colour_error([grey], [white], [region & False]))
    both = fidelity([grey, grey], [white, grey], [region, region])
    assert both["colour_inside"] == pytest.approx(25, abs=0.5)


@pytest.mark.parametrize("measure", ["edges", "masks"])
def test_a_disc_is_found_where_it_is(measure: str) -> None:
    picture = np.full((96, 96, 3), 210, np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    cv2.circle(mask, (48, 48), 20, 1, -1)
    cv2.circle(picture, (48, 48), 20, (40, 90, 160), -1)
    elsewhere = np.roll(picture, 9, axis=1)
    nothing = np.full_like(picture, 128)
    border = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0

    def measured(shown: np.ndarray) -> float:
        return edge_agreement(shown, border) if measure == "edges" else mask_agreement(shown, mask > 0)

    assert measured(picture) > 0.97
    assert measured(elsewhere) < 0.8
    assert measured(nothing) < 0.6


def test_structure_is_kept_under_new_colours_and_lost_with_the_layout(judge: Judge, footage: Footage) -> None:
    source: Sequence[np.ndarray] = footage.source[:2]
    upside_down = [np.ascontiguousarray(frame[::-1]) for frame in source]
    same, flipped = (structure_distance(judge.tower, frames, source) for frames in (source, upside_down))
    assert same == 0
    assert flipped > 3 * structure_distance(judge.tower, footage.truth[:2], source) / 2
