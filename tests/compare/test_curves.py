"""Curves hold the measures of ``pnpvideo.measure``, frame by frame, at the moments of the time line."""

import numpy as np
import pytest

from pnpvideo.compare.curves import Curve, Shown, motion_curves, text_curve
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.motion import estimated_motions
from pnpvideo.measure.temporal import warp_error
from tests.compare.pictures import moving, plain


def flickering(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [frame + np.uint8(20 * (number % 2)) for number, frame in enumerate(frames)]


def test_curves_are_the_measures_of_each_pair_and_see_flicker() -> None:
    source = moving(4)
    result = flickering(source)
    warp, flicker = motion_curves([Shown(source, range(4)), Shown(result, range(4))], range(4))
    motions = estimated_motions(source)
    for values, frames in zip(warp.values, (source, result), strict=True):
        assert values[0] is None
        known = [value for value in values[1:] if value is not None]
        assert len(known) == 3 and np.mean(known) == pytest.approx(1000 * warp_error(frames, motions))
    assert flicker.values[0][1:] == (0, 0, 0)
    assert flicker.values[1][1:] == pytest.approx((20, 20, 20))
    assert warp.range[0] == 0 and warp.range[1] == max(value or 0 for value in warp.values[1])


def test_values_stand_at_the_moments_where_the_source_changes() -> None:
    source = moving(2)
    (warp, _) = motion_curves([Shown(source, [0, 0, 1, 1]), Shown(source, [0, 0, 1, 1])], [0, 2])
    assert [value is None for value in warp.values[0]] == [True, True, False, True]


def test_results_of_another_size_are_measured_at_the_sources() -> None:
    source, larger = moving(3), [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in moving(3)]
    (warp, _) = motion_curves([Shown(source, range(3)), Shown(larger, range(3))], range(3))
    assert warp.values[1][1] == pytest.approx(warp.values[0][1], abs=0.5)


@pytest.mark.parametrize("clip", [moving(1), plain(3, 8, 8)])
def test_a_single_frame_and_tiny_frames_have_no_curves(clip: list[np.ndarray]) -> None:
    shown = Shown(clip, range(len(clip)))
    assert motion_curves([shown, shown], range(len(clip))) == []


def test_agreement_is_the_judges_cosine_and_tiny_pictures_have_none() -> None:
    judge, clip = Judge(), plain(2, 64, 64, step=200)
    (curve,) = text_curve([Shown(clip, [0, 1, 0])], "a photo of a ball", judge)
    wanted = 100 * judge.cosines(clip, ["a photo of a ball"])[:, 0]
    assert curve.values[0] == pytest.approx([float(wanted[number]) for number in (0, 1, 0)])
    assert curve.better == "high" and curve.range[0] == min(value or 0 for value in curve.values[0])
    assert text_curve([Shown(plain(1, 4, 4), [0])], "a photo of a ball", judge) == []


def test_a_range_is_never_empty() -> None:
    flat = Curve(name="", meaning="", better="low", digits=1, values=((0.0, None), (0.0, 0.0)))
    assert flat.range == (0, 1)
