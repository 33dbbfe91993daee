"""Judge how a decoding run ended: complete, damaged, with another picture size, or joined from pieces."""

import re
from dataclasses import dataclass

from pnpvideo.errors import DecodeError
from pnpvideo.events import Notice
from pnpvideo.video import ffmpeg
from pnpvideo.video.decode_log import DecodeLog
from pnpvideo.video.video_track import VideoTrack

# What ffmpeg says about a file that ends too soon or is damaged, even where it then ends with success.
_LOSS = re.compile(
    r"^\[in#|partial file|ended prematurely|truncat|corrupt|invalid data|error while decoding|crc mismatch"
    r"|error parsing|invalid as first byte|exceeds containing",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Frames start to stop (exclusive) were asked for, and start to end were delivered."""

    start: int
    stop: int | None
    end: int
    damage: str = ""
    """What the reader of the pipe noticed; empty if nothing."""


def check_outcome(track: VideoTrack, child: ffmpeg.Child, log: DecodeLog, outcome: Outcome) -> None:
    """Wait for ffmpeg to end, then raise DecodeError for damage; report what else the user should know.

    Where partial results are allowed, damage is reported too, unless no frame was delivered at all. Raises
    subprocess.TimeoutExpired if ffmpeg does not end.
    """
    if log.is_damaged():
        child.stop()  # a decoder may go on forever with what it cannot decode
    status, errors = child.wait(track.patience_seconds), child.errors()
    if log.size_changed and outcome.stop is not None and outcome.end >= outcome.stop:
        return  # the size changes after the span
    _check_picture_changes(track, log, outcome)
    if log.size_changed:
        return
    damage = outcome.damage
    if not damage and status == 0 and outcome.stop is None and (log.decoded is None or log.decoded > outcome.end):
        counted = "it gave no count" if log.decoded is None else f"{log.decoded} were decoded"
        damage = f"{counted}, {outcome.end} delivered"
    cause = damage or ffmpeg.summarise_errors(errors)
    lost = status != 0 or damage or _LOSS.search(errors) is not None or (track.allow_partial and errors != "")
    if lost and not track.allow_partial:
        raise DecodeError(
            f"{track.name} is damaged or cut short; decoding failed at frame {outcome.end}: {cause}. "
            "--allow-partial keeps what can be read"
        )
    delivered = outcome.end - outcome.start
    if delivered == 0:
        raise DecodeError(f"{track.name}: no frame could be decoded: {cause}")
    if lost:
        track.report(Notice(message=f"{track.name} is damaged; {delivered} frames could be read: {cause}"))
        return
    _report_joins(track, log, delivered)


def _check_picture_changes(track: VideoTrack, log: DecodeLog, outcome: Outcome) -> None:
    """Raise DecodeError, or report that the clip ends early, if the pictures change their size on the way."""
    if log.size_changed:
        before = "x".join(map(str, track.stored_size))
        change = f"{track.name} changes its size at frame {outcome.end}, from {before} to {log.rebuilt_for}"
        if not track.allow_partial or outcome.end == outcome.start:
            raise DecodeError(
                f"{change}; --allow-partial takes the frames before; or make it one size: "
                f"ffmpeg -i INPUT -vf scale={track.info.width}:{track.info.height},setsar=1 OUTPUT"
            )
        track.report(Notice(message=f"{change}; only the {outcome.end} frames before can be read"))
    elif log.rebuilt_for is not None and outcome.start:  # ffmpeg's trim filter counts from 0 again
        raise DecodeError(
            f"{track.name} changes its pixel format or colours on the way, so that a span cannot be counted; "
            "convert it to one format, or read it without --frames"
        )


def _report_joins(track: VideoTrack, log: DecodeLog, delivered: int) -> None:
    jumps = [
        *([f"its packet counter jumps {_times(log.counter_jumps)}"] if log.counter_jumps else []),
        *([f"its time stamps jump {_times(log.time_jumps)}"] if log.time_jumps else []),
    ]
    if jumps:
        track.report(
            Notice(
                message=f"{track.name} was joined from pieces, or packets were lost: {' and '.join(jumps)}; all "
                f"{delivered} frames that are there could be decoded, one after the other"
            )
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
