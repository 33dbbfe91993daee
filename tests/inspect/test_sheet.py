"""The layout of sheets, and the colours of what they show."""

import numpy as np

from pnpvideo.inspect.sheet import Cell, Row, as_heat, as_rgb, chunked, draw_sheet, with_mark

RED, BLUE = np.array([255, 0, 0], np.uint8), np.array([0, 0, 255], np.uint8)


def tile(*colours: np.ndarray) -> np.ndarray:
    return np.stack(colours).reshape(1, len(colours), 3).repeat(2, 0)


def test_small_tiles_are_enlarged_without_smoothing() -> None:
    drawn = np.asarray(draw_sheet(("title",), ("column",), [Row(("row",), [Cell([tile(RED, BLUE)], "below")])], 32))
    found = {tuple(int(value) for value in colour) for colour in drawn.reshape(-1, 3)}
    assert {(255, 0, 0), (0, 0, 255)} <= found
    assert (drawn == RED).all(2).sum() == (drawn == BLUE).all(2).sum() == 32 * 16
    assert all(len(set(colour)) == 1 for colour in found - {(255, 0, 0), (0, 0, 255)})  # black, white and grey text


def test_tiles_take_the_proportions_of_the_picture_beside_them() -> None:
    wide = np.full((10, 30, 3), 9, np.uint8)
    cell = Cell([tile(RED, RED, BLUE), wide], beside=[wide, wide])
    assert [scaled.shape for scaled in cell.scaled(20)] == [(20, 60, 3), (20, 60, 3)]


def test_every_label_shows() -> None:
    plain = np.asarray(draw_sheet((), (), [Row((), [Cell([tile(RED)])])], 64))
    for labelled in (
        draw_sheet(("a title",), (), [Row((), [Cell([tile(RED)])])], 64),
        draw_sheet((), ("column",), [Row((), [Cell([tile(RED)])])], 64),
        draw_sheet((), (), [Row(("row",), [Cell([tile(RED)])])], 64),
        draw_sheet((), (), [Row((), [Cell([tile(RED)], "below")])], 64),
    ):
        assert (np.asarray(labelled) < 128).all(2).sum() > (plain < 128).all(2).sum()


def test_a_label_taller_than_its_tiles_does_not_run_into_the_next_row() -> None:
    lines = ("one", "two", "three", "four", "five")
    high = draw_sheet((), (), [Row(lines, [Cell([tile(RED)])])] * 2, 16)
    assert high.height > 2 * 5 * 15


def test_all_pictures_share_one_scale_of_colours() -> None:
    dark, light = np.zeros((4, 4, 3)), np.ones((4, 4, 3))
    together = as_rgb([dark, light])
    assert together[0].max() == 0 and together[1].min() == 255
    assert as_rgb([np.arange(8.0).reshape(2, 2, 2)])[0].shape == (2, 2, 3)  # two components: no blue
    assert not as_rgb([np.arange(8.0).reshape(2, 2, 2)])[0][..., 2].any()


def test_heat_is_black_at_zero_and_bright_at_the_highest() -> None:
    heat = as_heat(np.array([[0.0, 0.5, 2.0]]), 1.0).astype(int).sum(2)[0]
    assert heat[0] < 20 and heat[0] < heat[1] < heat[2]


def test_a_mark_stands_at_its_point() -> None:
    grey = np.full((64, 64, 3), 100, np.uint8)
    marked = with_mark(grey, (0.75, 0.25), 64)
    rows, columns = np.nonzero((marked != 100).any(2))
    assert abs(rows.mean() - 16) < 1 and abs(columns.mean() - 48) < 1
    assert (grey == 100).all()


def test_long_lines_are_split() -> None:
    cells = [Cell(caption=str(number)) for number in range(5)]
    assert [len(line) for line in chunked(cells, 2)] == [2, 2, 1]
    assert [len(line) for line in chunked([], 2)] == [0]
