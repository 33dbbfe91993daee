"""A child's output in pieces of one size."""

import pytest

from pnpvideo.video import ffmpeg
from pnpvideo.video.pipe_reader import read_pieces

GREY = ("-v", "error", "-f", "lavfi", "-i", "color=gray:s=8x4:r=10:d=1,format=gray", "-f", "rawvideo", "pipe:1")


def test_the_whole_output_comes_in_pieces() -> None:
    with ffmpeg.Child(GREY, stdout=True) as child:
        pieces = list(read_pieces(child, 32, 30, lambda: False))
        assert [len(piece) for piece in pieces] == [32] * 10
        assert child.wait(10) == 0


def test_an_output_that_ends_within_a_piece_is_an_error() -> None:
    with ffmpeg.Child(GREY, stdout=True) as child:
        pieces = read_pieces(child, 150, 30, lambda: False)
        assert [len(next(pieces)), len(next(pieces))] == [150, 150]
        with pytest.raises(EOFError):
            next(pieces)


SILENT = ("-v", "error", "-f", "rawvideo", "-s", "8x4", "-pix_fmt", "gray", "-i", "pipe:0", "-f", "rawvideo", "pipe:1")


def test_a_silent_child_is_not_waited_for_longer_than_patience() -> None:
    with ffmpeg.Child(SILENT, stdin=True, stdout=True) as child, pytest.raises(TimeoutError):
        next(read_pieces(child, 32, 0.2, lambda: False))


def test_damage_ends_the_reading_of_a_silent_child() -> None:
    with ffmpeg.Child(SILENT, stdin=True, stdout=True) as child:
        assert list(read_pieces(child, 32, 30, lambda: True)) == []
