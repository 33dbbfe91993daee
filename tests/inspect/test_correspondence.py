"""Places that tokens copy from, beside a known motion."""

import numpy as np

from pnpvideo.inspect.correspondence import agreement, flow_wheel, own_places, wheel, with_grid

VIOLET = (150, 30, 170)


def motion(dx: float, dy: float, visible: bool = True) -> tuple[np.ndarray, np.ndarray]:
    flow = np.empty((2, 32, 64), np.float32)
    flow[0], flow[1] = dx, dy
    return flow, np.full((32, 64), visible)


def test_agreement_is_within_one_token_of_the_motion() -> None:
    own = own_places(4, 8)  # tokens of 8 x 8 pixels
    shifted = own + np.array((0, 3))
    frames = np.stack([own, shifted, own, own])
    still, moving = motion(0, 0), motion(24, 0)
    assert agreement(frames, [still, moving, moving, still]) == (0.5, 1.0, 0.5)
    assert agreement(frames, [still, moving, still, still]) == (1.0, 0.5, 1.0)
    assert agreement(frames, [still, motion(0, 24), still, still])[0] == 0.5
    assert agreement(frames, [still, motion(31, 0), still, still])[0] == 1.0
    assert agreement(frames, [still, motion(33, 0), still, still])[0] == 0.5


def test_only_reliable_flow_counts() -> None:
    own = own_places(4, 8)
    found = agreement(np.stack([own, own, own]), [motion(0, 0), motion(9, 0, visible=False), motion(0, 0)])
    assert all(np.isnan(found))


def test_a_token_has_the_colour_of_the_place_it_copies() -> None:
    own = own_places(6, 6)
    colours = wheel(own, (6, 6))
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) > 30
    moved = np.roll(own, 1, axis=1)
    assert np.array_equal(wheel(moved, (6, 6))[:, 1:], colours[:, :-1])


def test_optical_flow_has_the_same_colours() -> None:
    flow, visible = motion(8, 0)
    visible[0, 0] = False
    colours = flow_wheel(flow, visible)
    assert tuple(colours[0, 0]) == (128, 128, 128)
    still = flow_wheel(*motion(0, 0))
    assert np.array_equal(colours[5, :-8], still[5, 8:])


def test_a_grid_that_does_not_move_is_straight() -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    straight = (with_grid(white, own_places(16, 16)) == 20).all(2)
    assert 12 <= straight.all(0).sum() <= 16 and 12 <= straight.all(1).sum() <= 16
    stretched = own_places(16, 16)
    stretched[:, 8:, 1] = 8 + (stretched[:, 8:, 1] - 8) // 2
    drawn = with_grid(white, stretched)
    assert not (drawn == VIOLET).all(2).any()
    assert (drawn == 20).all(2).all(0).sum() < straight.all(0).sum()


def test_a_grid_that_is_torn_is_violet_there() -> None:
    white, torn = np.full((64, 64, 3), 255, np.uint8), own_places(16, 16)
    torn[4:8, 4:8] = (15, 15)
    coloured = (with_grid(white, torn) == VIOLET).all(2)
    rows, columns = np.nonzero(coloured)
    assert rows.min() > 10 and rows.max() < 36 and columns.min() > 10 and columns.max() < 36
    assert not coloured[20:28, 20:28].any()  # within the patch, neighbours copy the same place
