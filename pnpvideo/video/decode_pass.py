"""Decode a track once, from a frame to another, with one ffmpeg process: raw frames and their exact times.

The frames come through a pipe. Their times do not fit into raw video, so ffmpeg writes them to a file beside it.
"""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Notice
from pnpvideo.scratch import scratch_folder
from pnpvideo.video import decode_log, ffmpeg
from pnpvideo.video.clip import MAX_FRAMES
from pnpvideo.video.completeness import CompletenessCheck
from pnpvideo.video.decode_log import DecodeLog
from pnpvideo.video.decode_outcome import Outcome, check_outcome
from pnpvideo.video.pipe_reader import read_pieces
from pnpvideo.video.video_track import VideoTrack


@dataclass(frozen=True, kw_only=True)
class RawFormat:
    """What ffmpeg makes of each decoded picture: filters, its name for the pixel format, and the bytes per frame."""

    filters: tuple[str, ...]
    pixel_format: str
    frame_bytes: int


TIMES_ONLY = RawFormat(filters=("crop=1:1:0:0:exact=1", "scale=1:1"), pixel_format="gray", frame_bytes=1)
"""One byte per frame, where only the times are needed."""
DEINTERLACING = "bwdif=mode=send_frame:deint=interlaced"
"""ffmpeg filter that makes one whole frame of the two fields of each frame that is flagged as interlaced."""


def decode(track: VideoTrack, start: int, stop: int | None, raw: RawFormat) -> Iterator[tuple[int, Fraction, bytes]]:
    """Decode frames start to stop (exclusive): index, time in seconds as the container counts, raw pixels.

    Raises DecodeError if the file is damaged, hangs, or has frames without increasing times, and InputError beyond
    MAX_FRAMES. Where partial results are allowed, damage ends the iteration with a notice. Closing the iterator stops
    ffmpeg.
    """
    with scratch_folder() as folder, contextlib.ExitStack() as closing:
        times_path = folder / "times"
        log = DecodeLog(
            track.index, watched=track.may_be_joined and not track.allow_partial and not track.opens_with_errors
        )
        arguments = _arguments(track, start, stop, raw, str(times_path))
        child = closing.enter_context(ffmpeg.Child(arguments, stdout=True, keep=log.filter_line))
        index, previous, times = start, None, None
        completeness = CompletenessCheck(track.info)
        try:
            pieces = read_pieces(child, raw.frame_bytes, track.patience_seconds, log.is_damaged)
            for piece in closing.enter_context(contextlib.closing(pieces)):
                if stop is not None and index >= stop:
                    return  # ffmpeg rebuilt its filters on the way, and its trim filter counts from 0 again
                times = times or closing.enter_context(times_path.open(encoding="ascii"))
                pts_seconds = _parse_time(times.readline())
                if pts_seconds is None or (previous is not None and pts_seconds <= previous):
                    raise DecodeError(
                        f"{track.name}: the time stamp of frame {index} is missing or not after that of "
                        "the frame before; remux the file so that every frame has its own time"
                    )
                if index >= MAX_FRAMES:
                    raise InputError(f"{track.name} has more than {MAX_FRAMES} frames; name a span of it")
                yield index, pts_seconds, piece
                completeness.add(pts_seconds)
                previous = pts_seconds
                index += 1
            check_outcome(track, child, log, Outcome(start=start, stop=stop, end=index))
            if stop is None and not log.size_changed and (doubt := completeness.doubt()) is not None:
                track.report(Notice(message=f"{track.name} may not be whole: {doubt}"))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise DecodeError(
                f"{track.name}: decoding hangs at frame {index}; "
                f"nothing came for {track.patience_seconds:g} s, so it was stopped"
            ) from None
        except EOFError:
            cause = "the last frame came in part only"
            check_outcome(track, child, log, Outcome(start=start, stop=stop, end=index, damage=cause))


def _arguments(track: VideoTrack, start: int, stop: int | None, raw: RawFormat, times_path: str) -> list[str]:
    strict = [] if track.allow_partial or track.opens_with_errors else ["-err_detect", "explode"]
    if not track.allow_partial and not track.may_be_joined:
        strict += ["-xerror"]
    filters = [decode_log.size_guard_filter(*track.stored_size)]
    if track.deinterlaced and raw is not TIMES_ONLY:
        filters.append(DEINTERLACING)  # before the span is cut: it looks at the frames before and after
    if start or stop is not None:
        filters.append(f"trim=start_frame={start}" + ("" if stop is None else f":end_frame={stop}"))
    filters += raw.filters
    return [
        *("-v", decode_log.LEVEL, "-nostats", *strict),
        *ffmpeg.input_arguments(track.path, track.demuxer, track.decoder, track.skipped_packets),
        *("-map", f"0:{track.index}", "-vf", ",".join(filters), "-fps_mode", "passthrough"),
        *("-enc_time_base", "demux", "-c:v", "rawvideo", "-pix_fmt", raw.pixel_format, "-stats_enc_pre:v", times_path),
        *("-stats_enc_pre_fmt:v", "{pts} {tb}", "-f", "rawvideo", "pipe:1"),
    ]


def _parse_time(line: str) -> Fraction | None:
    """Read "512 1/12800" as 512/12800 seconds; None for anything else."""
    match = re.fullmatch(r"(-?\d+) (\d+)/(\d+)\n", line)
    return Fraction(int(match[1]) * int(match[2]), int(match[3])) if match else None
