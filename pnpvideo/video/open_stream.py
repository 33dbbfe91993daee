"""Open a video file: choose its video track, describe it, and report everything that reading will change."""

import dataclasses
from pathlib import Path

from pnpvideo.errors import DecodeError, InputError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.video import ffmpeg, stream_info, tone_mapping, tracks
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.stream import VideoStream
from pnpvideo.video.stream_info import FirstFrame
from pnpvideo.video.video_track import STREAMED, VideoTrack

_ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
FEWEST_LINES = 16
"""Smaller pictures are not deinterlaced: ffmpeg's filter refuses planes of fewer than 3 rows or columns."""
_MOST_KEYFRAMES = 4
"""Keyframes at the beginning that are tried as the first one that decodes."""


def open_stream(
    path: Path, demuxer: str, *, track: int | None, allow_partial: bool, patience_seconds: float, report: Report
) -> VideoStream:
    """Choose the video track (see ``tracks.choose_track``) and decode its first frame.

    Raises InputError if there is no video track, or none of that number, or its pictures exceed the limits;
    DecodeError if the first frame cannot be decoded.
    """
    name = printable(str(path))
    first_frame = FirstFrame(path, demuxer, patience_seconds)
    log = first_frame.describe("0:V:0")
    pictures = tracks.parse_tracks(log, "Video")
    if not stream_info.has_stream_header(log) and not pictures and not tracks.parse_tracks(log, "Audio"):
        why = ffmpeg.summarise_errors(log)
        raise DecodeError(f"{name}: its index is missing or damaged; the file is cut short: {why}")
    if not pictures:
        raise InputError(f"{name} holds no video track; give a video, an animation or a still")
    choice = tracks.choose_track(path, demuxer, pictures, track, patience_seconds)
    if track is None and len(pictures) > 1:
        number, listing = pictures.index(choice), tracks.describe_tracks(pictures)
        report(Notice(message=f"{name} has {listing}; track {number} is read; --track names another one"))
    decoder = _ALPHA_DECODERS.get(choice.codec) if stream_info.has_alpha_mode(log) else None
    skipped_packets, opens_with_errors = 0, False
    if demuxer in STREAMED:
        skipped_packets, opens_with_errors = _find_beginning(first_frame, choice)
    if skipped_packets or opens_with_errors:
        report(
            Notice(
                message=f"{name} begins between two keyframes: its first {skipped_packets} packets, of a frame each as "
                "a rule, cannot be decoded and are left out"
                + (", and what refers to others before it" * opens_with_errors)
            )
        )
    if choice is not pictures[0] or decoder is not None or skipped_packets:
        log = first_frame.describe(f"0:{choice.index}", decoder, skipped_packets)
    if demuxer == "mjpeg":
        report(Notice(message=f"{name} is a stream of JPEGs without times; 25 frames a second are assumed"))
    if stream_info.is_turned_within(log):
        report(Notice(message=f"{name} is rotated by no multiple of 90 degrees; what its corners leave empty is black"))
    info, stored_size = stream_info.parse_info(path, demuxer, log)
    info = dataclasses.replace(info, codec=choice.codec, language=choice.language)
    info = _without_shifted_sound(info, demuxer, choice, patience_seconds, report)
    info, tone_filters = _convert_to_sdr(info, name, report)
    return VideoStream(
        VideoTrack(
            path=path,
            demuxer=demuxer,
            index=choice.index,
            info=info,
            stored_size=stored_size,
            decoder=decoder,
            tone_filters=tone_filters,
            deinterlaced=stream_info.is_interlaced(log) and _deinterlace(name, stored_size, report),
            skipped_packets=skipped_packets,
            opens_with_errors=opens_with_errors,
            allow_partial=allow_partial,
            patience_seconds=patience_seconds,
            report=report,
        )
    )


def _find_beginning(first_frame: FirstFrame, track: tracks.Track) -> tuple[int, bool]:
    """How many packets to skip until the track decodes, and whether decoding begins with errors even so.

    It does if every keyframe tried refers to frames before it (open groups of pictures).
    """
    (opening,) = tracks.read_packets(
        first_frame.path,
        first_frame.demuxer,
        [track.index],
        patience_seconds=first_frame.timeout_seconds,
        most=tracks.OPENING_PACKETS,
    )
    keyframes = opening.keyframes[:_MOST_KEYFRAMES]
    if not keyframes:
        return 0, False
    clean = next((packet for packet in keyframes if first_frame.decodes_after(track.index, packet)), None)
    if clean is None:
        return keyframes[0], len(keyframes) > 1
    return (0 if keyframes[0] == 0 else clean), False


def _without_shifted_sound(
    info: ClipInfo, demuxer: str, track: tracks.Track, patience_seconds: float, report: Report
) -> ClipInfo:
    """Leave out the sound of a file that was joined from pieces with times of their own: it would be out of sync."""
    if demuxer not in STREAMED or not info.audio or info.path is None:
        return info
    if not tracks.has_time_jump(info.path, demuxer, track.index, patience_seconds=patience_seconds):
        return info
    report(
        Notice(
            message=f"{printable(str(info.path))} was joined from pieces with times of their own, so its sound is left "
            "out; to keep it, join the times first: ffmpeg -i INPUT -c copy OUTPUT.mkv"
        )
    )
    return dataclasses.replace(info, audio=())


def _deinterlace(name: str, stored_size: tuple[int, int], report: Report) -> bool:
    """Report whether an interlaced video is deinterlaced, and return it."""
    why = "this ffmpeg lacks the filter bwdif" if "bwdif" not in ffmpeg.filters() else ""
    if min(stored_size) < FEWEST_LINES:
        why = f"it has fewer than {FEWEST_LINES} rows or columns"
    if why:
        report(Notice(message=f"{name} is interlaced and is read as it is, since {why}; edges that move are combed"))
    else:
        report(Notice(message=f"{name} is interlaced; one whole frame is made of the two fields of each (bwdif)"))
    return not why


def _convert_to_sdr(info: ClipInfo, name: str, report: Report) -> tuple[ClipInfo, tuple[str, ...]]:
    """The clip as it is after conversion to SDR, and the ffmpeg filters for it; unchanged if it is SDR already."""
    filters = tone_mapping.sdr_filters(name, info.colour)
    if not filters:
        return info, ()
    source = tone_mapping.describe(info.colour)
    if info.alpha:
        raise InputError(f"{name} is {source} with alpha, which is not converted here; convert it to BT.709")
    report(Notice(message=f"{name} is {source}; its frames are converted to SDR in BT.709, and so is the result"))
    return dataclasses.replace(info, colour=tone_mapping.SDR_COLOUR), tuple(filters)
