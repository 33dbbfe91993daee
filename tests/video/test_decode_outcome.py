"""How a decoding run ended: what is an error, a notice, or fine."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from pnpvideo.errors import DecodeError
from pnpvideo.events import Event, Notice
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.decode_log import DecodeLog
from pnpvideo.video.decode_outcome import Outcome, check_outcome
from pnpvideo.video.ffmpeg import Child
from pnpvideo.video.video_track import VideoTrack

INFO = ClipInfo(path=Path("a.mkv"), kind="video", width=64, height=48, container="matroska")


@dataclass
class EndedChild:
    """An ffmpeg that has ended with this status and log."""

    status: int = 0
    log: str = ""

    def stop(self) -> None:
        pass

    def wait(self, timeout_seconds: float) -> int:
        return self.status

    def errors(self) -> str:
        return self.log


def track(events: list[Event], **changes: Any) -> VideoTrack:
    plain = VideoTrack(
        path=Path("a.mkv"),
        demuxer="matroska",
        index=0,
        info=INFO,
        stored_size=(64, 48),
        decoder=None,
        tone_filters=(),
        deinterlaced=False,
        skipped_packets=0,
        opens_with_errors=False,
        allow_partial=False,
        patience_seconds=1,
        report=events.append,
    )
    return replace(plain, **changes)


def decoded(count: int | None, **noted: Any) -> DecodeLog:
    log = DecodeLog(0, watched=False)
    log.decoded = count
    for name, value in noted.items():
        setattr(log, name, value)
    return log


def check(video: VideoTrack, child: EndedChild, log: DecodeLog, outcome: Outcome) -> None:
    check_outcome(video, cast(Child, child), log, outcome)


WHOLE = Outcome(start=0, stop=None, end=25)


def test_a_complete_run_says_nothing() -> None:
    events: list[Event] = []
    check(track(events), EndedChild(), decoded(25), WHOLE)
    check(track(events), EndedChild(), decoded(None), Outcome(start=5, stop=10, end=10))
    assert events == []


LOST = [
    (EndedChild(status=1, log="[error] no"), decoded(25), WHOLE, "no"),
    (EndedChild(log="partial file"), decoded(25), WHOLE, "partial file"),
    (EndedChild(), decoded(26), WHOLE, "26 were decoded, 25 delivered"),
    (EndedChild(), decoded(None), WHOLE, "it gave no count, 25 delivered"),
    (EndedChild(), decoded(25), replace(WHOLE, damage="in part only"), "in part only"),
]


@pytest.mark.parametrize(("child", "log", "outcome", "cause"), LOST)
def test_lost_frames_are_an_error_or_where_allowed_a_notice(
    child: EndedChild, log: DecodeLog, outcome: Outcome, cause: str
) -> None:
    events: list[Event] = []
    with pytest.raises(DecodeError, match=rf"decoding failed at frame 25: .*{cause}.*--allow-partial"):
        check(track(events), child, log, outcome)
    assert events == []
    check(track(events, allow_partial=True), child, log, outcome)
    assert "a.mkv is damaged; 25 frames could be read" in str(events) and cause in str(events)


@pytest.mark.parametrize("allow_partial", [False, True])
def test_no_frame_at_all_is_always_an_error(allow_partial: bool) -> None:
    with pytest.raises(DecodeError, match=r"no frame could be decoded|failed at frame 0"):
        nothing = Outcome(start=0, stop=None, end=0)
        check(track([], allow_partial=allow_partial), EndedChild(1, "x"), decoded(0), nothing)


def test_another_size_is_an_error_a_notice_or_beyond_the_span() -> None:
    log = decoded(25, size_changed=True, rebuilt_for="32x24")
    with pytest.raises(DecodeError, match="changes its size at frame 25, from 64x48 to 32x24"):
        check(track([]), EndedChild(1), log, WHOLE)
    events: list[Event] = []
    check(track(events, allow_partial=True), EndedChild(1), log, WHOLE)
    assert [isinstance(event, Notice) and "only the 25 frames before" in event.message for event in events] == [True]
    check(track([]), EndedChild(1), log, Outcome(start=0, stop=25, end=25))


def test_a_span_cannot_be_counted_where_the_pixel_format_changes() -> None:
    log = decoded(25, rebuilt_for="64x48")
    check(track([]), EndedChild(), log, WHOLE)
    with pytest.raises(DecodeError, match="changes its pixel format or colours"):
        check(track([]), EndedChild(), log, Outcome(start=3, stop=9, end=9))


def test_joins_are_reported() -> None:
    events: list[Event] = []
    check(track(events), EndedChild(), decoded(25, counter_jumps=1, time_jumps=2), WHOLE)
    assert "its packet counter jumps once and its time stamps jump 2 times; all 25 frames" in str(events)
