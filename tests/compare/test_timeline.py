"""Clips are aligned by time: every frame of each is shown, at its time."""

from fractions import Fraction

import pytest

from pnpvideo.compare.timeline import Track, align, differences


def track(count: int, fps: int) -> Track:
    return Track([Fraction(number, fps) for number in range(count)], Fraction(count, fps))


def test_equal_times_pair_one_by_one() -> None:
    tracks = [track(5, 12)] * 2
    timeline = align(tracks)
    assert timeline.shown == ((0, 1, 2, 3, 4),) * 2
    assert timeline.end_seconds == Fraction(5, 12)
    assert differences(timeline, tracks, ["a", "b"]) == []


def test_times_that_a_container_rounds_are_one_moment() -> None:
    exact = track(30, 24)
    rounded = Track([Fraction(round(100 * time), 100) for time in exact.times], Fraction(125, 100))
    assert align([exact, rounded]).shown == (tuple(range(30)),) * 2
    assert align([rounded, exact]).shown == (tuple(range(30)),) * 2


@pytest.mark.parametrize("rates", [(12, 24), (24, 25), (10, 30), (30, 12)])
def test_no_frame_of_any_rate_is_left_out_and_each_comes_at_its_time(rates: tuple[int, int]) -> None:
    tracks = [track(rate, rate) for rate in rates]
    timeline = align(tracks)
    for number, each in enumerate(tracks):
        assert [timeline.shown[number][moment] for moment in timeline.own(number)] == list(range(len(each.times)))
        for moment, frame in enumerate(timeline.shown[number]):
            assert abs(timeline.times[moment] - each.times[frame]) <= Fraction(1, min(rates)) + Fraction(1, 100)
    assert "aligned by time" in differences(timeline, tracks, ["a", "b"])[0]


def test_the_shorter_clip_stays_on_its_last_frame() -> None:
    tracks = [track(4, 10), track(2, 10)]
    timeline = align(tracks)
    assert timeline.shown == ((0, 1, 2, 3), (0, 1, 1, 1))
    assert differences(timeline, tracks, ["a", "b"]) == [
        "b has 2 frames in 0.200 s, a has 4 frames in 0.400 s: they are aligned by time, and the shorter one stays on "
        "its last frame"
    ]


def test_a_still_stays_beside_a_clip() -> None:
    tracks = [track(1, 25), track(3, 10)]
    timeline = align(tracks)
    assert timeline.shown == ((0, 0, 0), (0, 1, 2))
    assert differences(timeline, tracks, ["a", "b"]) == ["a is a single picture and stays while the other clip moves"]
    assert align([track(1, 25)] * 2).times == (0,)
