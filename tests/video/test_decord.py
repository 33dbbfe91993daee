"""decord delivers what ffmpeg delivers, or is refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import ignore
from pnpvideo.video.decord import DecordVideo
from pnpvideo.video.read import read
from pnpvideo.video.source import open_source

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


@pytest.mark.skipif(sys.platform != "linux", reason="decord has wheels for Linux")
def test_decord_delivers_ffmpegs_times_and_is_refused_where_it_cannot_read(make: Callable[..., Path]) -> None:
    pytest.importorskip("decord")
    path = make("a.mp4", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=0.6", *X264)
    ours, theirs = list(read(path).frames()), list(read(path, decoder="decord", span=(2, 9)).frames())
    assert [frame.index for frame in theirs] == list(range(2, 9))
    assert [frame.pts_seconds for frame in theirs] == [ours[k].pts_seconds for k in range(7)]
    for frame in theirs:
        distances = [np.abs(frame.pixels.astype(int) - other.pixels).mean() for other in ours]
        assert int(np.argmin(distances)) == frame.index
    with pytest.raises(InputError, match="use decoder ffmpeg"):
        read(make("a.gif", "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=0.3"), decoder="decord")
    with pytest.raises(OptionError, match="accepted: ffmpeg, decord"):
        read(path, decoder="opencv")


def test_decord_is_refused_where_it_shows_other_pictures(make: Callable[..., Path]) -> None:
    pytest.importorskip("decord")
    plain = make("a.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.4", *X264)
    mirrored = make("b.mp4", "-display_hflip", "-i", str(plain), "-c", "copy")
    with pytest.raises(InputError, match="first picture"):
        read(mirrored, decoder="decord")


def test_a_picture_and_a_video_with_alpha_are_refused(make: Callable[..., Path]) -> None:
    see = ("-f", "lavfi", "-i", "color=red:s=16x16:r=5:d=0.4,format=rgba")
    for name, codec in (("a.apng", ("-f", "apng")), ("a.mov", ("-c:v", "qtrle"))):
        source = open_source(
            make(name, *see, *codec), track=None, allow_partial=False, patience_seconds=30, report=ignore
        )
        with pytest.raises(InputError, match="decord reads opaque mp4, mov, mkv, webm and avi in SDR only"):
            DecordVideo.open(source)
