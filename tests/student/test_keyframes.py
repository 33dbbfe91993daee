import numpy as np
import pytest

from pnpvideo.measure.motion import estimated_motion
from pnpvideo.student.keyframes import choose_keyframes, joined, neighbours

from .conftest import pictures


def moving(places: list[int]) -> list[np.ndarray]:
    """A textured square at x = each of ``places``, on grey, 64 x 64."""
    square = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    frames = []
    for place in places:
        frame = np.full((64, 64, 3), 128, np.uint8)
        frame[20:44, place : place + 24] = square
        frames.append(frame)
    return frames


def test_first_and_last_frame_and_about_every_eighth_between_are_keyframes() -> None:
    assert choose_keyframes(moving(list(range(33))), 8) == pytest.approx((0, 8, 16, 24, 32), abs=1)


@pytest.mark.parametrize(
    ("count", "every", "wanted"), [(1, 8, (0,)), (2, 8, (0, 1)), (3, 1, (0, 1, 2)), (5, 99, (0, 4))]
)
def test_short_shots(count: int, every: int, wanted: tuple[int, ...]) -> None:
    assert choose_keyframes(moving(list(range(count))), every) == wanted


def test_what_stands_still_has_its_keyframes_by_time() -> None:
    assert choose_keyframes(moving([0] * 17), 8) == (0, 8, 16)


def test_more_keyframes_where_more_changes() -> None:
    places = [0] * 20 + list(range(0, 40, 2))
    chosen = choose_keyframes(moving(places), 5)
    assert sum(index >= 20 for index in chosen) > sum(index < 20 for index in chosen)


def test_neighbours_are_frames_and_the_next_with_their_motion() -> None:
    frames = moving([0, 2, 4, 6, 8])
    motions = neighbours(frames, 2)
    assert motions is not None and np.array_equal(motions.earlier, np.stack([frames[0], frames[3]]))
    assert np.array_equal(motions.later, np.stack([frames[1], frames[4]]))
    flow = estimated_motion(frames[3], frames[4]).flow
    assert np.allclose(motions.flow[1], flow, atol=1e-2) and motions.flow.dtype == np.float16
    assert motions.flow[1][0, 32, 16] == pytest.approx(2, abs=0.3)


def test_one_frame_has_no_neighbours() -> None:
    assert neighbours(moving([0]), 3) is None and neighbours(moving([0, 1]), 0) is None
    one = neighbours(moving([0, 1, 2]), 5)
    both = joined([one, None, one])
    assert one is not None and both is not None and len(both.flow) == 2 * len(one.flow) == 4
    assert joined([None]) is None and joined([]) is None


def test_transparent_frames_are_looked_at_over_white() -> None:
    frames = [np.dstack([picture, np.full((32, 32), 255, np.uint8)]) for picture in pictures(9)]
    assert choose_keyframes(frames, 8) == (0, 8)
