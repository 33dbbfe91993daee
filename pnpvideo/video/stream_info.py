"""Describe a video by what ffmpeg says about the file and its first decoded frame."""

import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import DecodeError, InputError, printable
from pnpvideo.video import ffmpeg, tracks
from pnpvideo.video.clip import MAX_PIXELS, AudioTrack, ClipInfo, Colour, SubtitleTrack
from pnpvideo.video.codec_arguments import MATRICES

DESCRIBED_FRAMES = 4
"""Frames at the beginning that are asked whether they are interlaced."""
HIGHEST_FPS = 1000
"""A stated rate from here on is the tick of a clock, not a frame rate."""
_ODD_ROTATION = "Odd rotation angle.\nIf you want to help,"
_CONFIG = re.compile(  # _ODD_ROTATION stands before it on its line, since that message has no end of line
    r"^(?:\[Parsed_showinfo_\d+ @ \w+\] |If you want to help,.*)config in time_base: (\d+)/(\d+), "
    r"frame_rate: (\d+)/(\d+)",
    re.MULTILINE,
)
_FRAME = re.compile(
    r"^\[Parsed_showinfo_\d+ @ \w+\] n: *0 pts: *(-?\d+) .*?fmt:(\w+) .*?sar:(\d+)/(\d+) s:(\d+)x(\d+)", re.MULTILINE
)
_FIELDS = re.compile(r"^\[Parsed_showinfo_\d+ @ \w+\] n: *\d+ pts:.* i:[TB] ", re.MULTILINE)
_COLOUR = re.compile(
    r"^\[Parsed_showinfo_\d+ @ \w+\] +color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)",
    re.MULTILINE,
)
_DURATION = re.compile(r"^  Duration: (?:(\d+):(\d\d):(\d\d\.\d+)|N/A)(?:, start: (-?\d+\.\d+))?", re.MULTILINE)
_TIMECODE = re.compile(r"^ +timecode +: (\d\d:\d\d:\d\d[:;.]\d+)$", re.MULTILINE | re.IGNORECASE)
_DOLBY_VISION_5 = re.compile(r"DOVI configuration record:.* profile: 5,")
_ALPHA_MODE = re.compile(r"^ +alpha_mode +: 1$", re.MULTILINE | re.IGNORECASE)
_ALPHA_FORMAT = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8|ayuv|vuya")


@dataclass(frozen=True)
class FirstFrame:
    """Lets ffmpeg describe a file and decode the first frames of a track."""

    path: Path
    demuxer: str
    timeout_seconds: float

    def describe(self, track: str, decoder: str | None = None, skipped_packets: int = 0) -> str:
        """ffmpeg's log of decoding the first DESCRIBED_FRAMES. Raises DecodeError if ffmpeg hangs.

        track: as ffmpeg's -map takes it, such as "0:1". skipped_packets: to leave out at the beginning.
        """
        source = ffmpeg.input_arguments(self.path, self.demuxer, decoder, skipped_packets)
        output = ["-map", track, "-vf", "showinfo", "-frames:v", str(DESCRIBED_FRAMES), "-f", "null", os.devnull]
        status, log = ffmpeg.run(["-v", "info", "-copyts", *source, *output], self.timeout_seconds)
        if status is None:
            raise DecodeError(
                f"{printable(str(self.path))}: decoding hangs at the first frame; "
                f"stopped after {self.timeout_seconds:g} s"
            )
        return log

    def decodes_after(self, track: int, skipped_packets: int) -> bool:
        """Whether the first eight frames after the skipped packets decode without an error."""
        source = ffmpeg.input_arguments(self.path, self.demuxer, None, skipped_packets)
        output = ["-map", f"0:{track}", "-frames:v", "8", "-f", "null", os.devnull]
        strict = ["-v", "error", "-xerror", "-err_detect", "explode"]
        status, log = ffmpeg.run([*strict, *source, *output], self.timeout_seconds)
        reached_a_join = "corrupt input packet" in log and "[dec:" not in log  # of two pieces; no decoder complained
        return status == 0 or reached_a_join


def has_alpha_mode(log: str) -> bool:
    """Whether the log says that a WebM or Matroska has an alpha channel, which ffmpeg's usual decoders ignore."""
    return _ALPHA_MODE.search(log) is not None


def is_interlaced(log: str) -> bool:
    """Whether one of the first frames consists of two fields, of two moments."""
    return _FIELDS.search(log) is not None


def is_turned_within(log: str) -> bool:
    """Whether the pictures are rotated by an angle that is no multiple of 90 degrees, so that corners remain empty."""
    return _ODD_ROTATION in log


def has_stream_header(log: str) -> bool:
    """Whether ffmpeg got as far as to decode."""
    return _CONFIG.search(log) is not None


def parse_info(path: Path, demuxer: str, log: str) -> tuple[ClipInfo, tuple[int, int]]:
    """The clip that a ``FirstFrame`` log describes, and the (width, height) in pixels at which its pictures are coded.

    Raises DecodeError if the first frame was not decoded; InputError for more than MAX_PIXELS, and for colours that
    ffmpeg cannot convert.
    """
    name = printable(str(path))
    config, frame, colour = _CONFIG.search(log), _FRAME.search(log), _parse_colour(_COLOUR.search(log))
    if config is None or frame is None:
        raise DecodeError(f"{name}: the first frame cannot be decoded: {ffmpeg.summarise_errors(log)}")
    if _DOLBY_VISION_5.search(log):
        raise InputError(f"{name} is Dolby Vision of profile 5, whose colours ffmpeg cannot convert; convert it to SDR")
    stored_width, height = int(frame[5]), int(frame[6])
    aspect = Fraction(int(frame[3]), int(frame[4])) if int(frame[3]) and int(frame[4]) else Fraction(1)
    width = max(1, round(stored_width * aspect))
    if width * height > MAX_PIXELS:
        raise InputError(f"{name} is {width}x{height}; accepted are frames of up to {MAX_PIXELS} pixels")
    _check_colour(name, colour)
    duration, timecode = _DURATION.search(log), _TIMECODE.search(log)
    time_base = Fraction(int(config[1]), int(config[2]))
    rate = Fraction(int(config[3]), int(config[4])) if int(config[3]) and int(config[4]) else None
    info = ClipInfo(
        path=path,
        kind="video",
        container=demuxer,
        width=width,
        height=height,
        fps=None if rate is not None and rate >= HIGHEST_FPS else rate,
        duration_seconds=_stated_duration(duration),
        audio=tuple(
            AudioTrack(codec=track.codec, description=printable(track.description))
            for track in tracks.parse_tracks(log, "Audio")
        ),
        subtitles=tuple(
            SubtitleTrack(codec=track.codec, description=printable(track.description))
            for track in tracks.parse_tracks(log, "Subtitle")
        ),
        timecode=timecode[1] if timecode else None,
        alpha=_ALPHA_FORMAT.search(frame[2]) is not None,
        colour=colour,
        time_base=time_base,
        container_start_seconds=Fraction(duration[4]) if duration and duration[4] else Fraction(0),
        first_pts_seconds=int(frame[1]) * time_base,
    )
    return info, (stored_width, height)


def _check_colour(name: str, colour: Colour) -> None:
    """Raise InputError for colours that ffmpeg cannot convert to RGB."""
    if colour.matrix is not None and colour.matrix not in ("gbr", *MATRICES):
        raise InputError(
            f"{name}: its colour matrix is {printable(colour.matrix)}; accepted are {', '.join(MATRICES)}: convert it"
        )
    if colour.transfer in ("log100", "log316"):
        raise InputError(f"{name}: its transfer is {colour.transfer}, which no picture here can keep; convert it")


def _stated_duration(match: re.Match[str] | None) -> Fraction | None:
    if match is None or match[1] is None:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])


def _parse_colour(match: re.Match[str] | None) -> Colour:
    if match is None:
        return Colour()
    tags = [None if value in ("unknown", "reserved") else value for value in match.groups()]
    full_range = {None: None, "pc": True, "tv": False}.get(tags[0])
    return Colour(full_range=full_range, matrix=tags[1], primaries=tags[2], transfer=tags[3])
