"""The end of a track by the header of an MP4."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from pnpvideo.video.mp4_duration import track_end

INPUTS = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=d=2")


@pytest.mark.parametrize("more", [("-movflags", "+faststart"), ("-movflags", "+use_metadata_tags")])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_each_track_has_its_own_end(name: str, more: tuple[str, ...], make: Callable[..., Path]) -> None:
    path = make(name, *INPUTS, *more)
    for index, seconds in enumerate((1, 2)):
        end = track_end(path, index)
        assert end is not None and abs(end[0] - seconds) <= end[1] <= Fraction(1, 1000)
    assert track_end(path, 2) is None


def test_what_states_no_end_has_none(make: Callable[..., Path], tmp_path: Path) -> None:
    assert track_end(make("a.mp4", *INPUTS, "-movflags", "empty_moov+frag_keyframe"), 0) is None
    whole = make("b.mp4", *INPUTS, "-movflags", "+faststart").read_bytes()
    for size in (0, 4, 40, 150):
        (tmp_path / "cut.mp4").write_bytes(whole[:size])
        assert track_end(tmp_path / "cut.mp4", 0) is None
    assert track_end(tmp_path / "gone.mp4", 0) is None
