"""ffmpeg's log while it decodes, line by line."""

import subprocess

import pytest

from pnpvideo.video.decode_log import LEVEL, DecodeLog, size_guard_filter
from pnpvideo.video.ffmpeg import executable

MAPPING = "[info] Stream mapping:"
ERROR = "[h264 @ 0x55d] [error] error while decoding MB 11 13"


def test_errors_and_lines_of_others_are_stored_and_all_else_is_not() -> None:
    log = DecodeLog(0, watched=False)
    assert log.filter_line(ERROR) == "[h264 @ 0x55d] error while decoding MB 11 13"
    assert log.filter_line("a wrapper: no such file") == "a wrapper: no such file"
    assert log.filter_line("[verbose] something") is None and log.filter_line("[warning] else") is None
    assert not log.is_damaged(), "it is not watched"


def test_a_watched_log_is_damaged_by_the_first_error_after_decoding_began() -> None:
    log = DecodeLog(0, watched=True)
    assert log.filter_line(ERROR) is None and not log.is_damaged()
    log.filter_line(MAPPING)
    assert log.filter_line(ERROR) is not None and log.is_damaged()


def test_jumps_and_the_count_of_the_right_track_are_noted() -> None:
    log = DecodeLog(1, watched=True)
    for line in (
        MAPPING,
        "[mpegts @ 0x1] [warning] corrupt input packet in stream 0",
        "[mpegts @ 0x1] [warning] timestamp discontinuity (stream id=256): 5, new offset= 1",
        "[mpegts @ 0x1] [warning] timestamp discontinuity (stream id=256): 9, new offset= 2",
        "[verbose]   Input stream #0:0 (video): 30 packets read (900 bytes); 30 frames decoded; 0 decode errors",
        "[verbose]   Input stream #0:1 (video): 25 packets read (900 bytes); 24 frames decoded; 0 decode errors",
    ):
        log.filter_line(line)
    assert (log.counter_jumps, log.time_jumps, log.decoded) == (1, 2, 24)
    assert not log.is_damaged()


def test_a_change_of_size_is_no_damage() -> None:
    log = DecodeLog(0, watched=True)
    log.filter_line(MAPPING)
    log.filter_line("[info] Reconfiguring filter graph because video parameters changed to yuv420p(tv, bt709), 32x24")
    log.filter_line("[Parsed_crop_0 @ 0x1] [error] Invalid too big or non positive size for width '-1' or height '-1'")
    assert (log.rebuilt_for, log.size_changed, log.is_damaged()) == ("32x24", True, False)


@pytest.mark.parametrize(("size", "status"), [("64x48", True), ("64x50", False), ("60x48", False), ("128x96", False)])
def test_the_guard_passes_one_size(size: str, status: bool) -> None:
    source = ["-f", "lavfi", "-i", f"color=s={size}:d=0.1", "-vf", size_guard_filter(64, 48)]
    command = [executable(), "-v", LEVEL, "-nostdin", *source, "-f", "null", "-"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode == 0) == status
    log = DecodeLog(0, watched=True)
    for line in found.stderr.splitlines():
        log.filter_line(line)
    assert log.size_changed != status
