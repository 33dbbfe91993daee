"""One video track of a video file, and how it is to be decoded."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import printable
from pnpvideo.events import Report
from pnpvideo.video.clip import ClipInfo

STREAMED = ("mpegts", "mpeg")
"""Containers that are broadcast: a file may be cut anywhere, or be joined from pieces."""


@dataclass(frozen=True, kw_only=True)
class VideoTrack:
    """Everything that decoding a track needs. Sizes are (width, height) in pixels."""

    path: Path
    demuxer: str
    """ffmpeg's name for the container."""
    index: int
    """Number of the track among all tracks of the file."""
    info: ClipInfo
    stored_size: tuple[int, int]
    """Size of the coded pictures, before the sample aspect ratio is applied."""
    decoder: str | None
    """Name of the ffmpeg decoder to use; None: ffmpeg's own choice."""
    tone_filters: tuple[str, ...]
    """ffmpeg filters that convert HDR to SDR; none for SDR."""
    deinterlaced: bool
    """Whether frames are made of the fields that the file holds, one frame of two fields."""
    skipped_packets: int
    """Packets at the beginning that cannot be decoded, because they come before the first keyframe."""
    opens_with_errors: bool
    """Whether decoding begins with errors that do not count: its keyframes refer to packets that were skipped."""
    allow_partial: bool
    """Whether to deliver what can be decoded of a damaged file, with a notice, instead of failing."""
    patience_seconds: float
    """How long ffmpeg may stay silent before it is stopped."""
    report: Report

    @property
    def name(self) -> str:
        """The path, safe to show in a terminal."""
        return printable(str(self.path))

    @property
    def period_seconds(self) -> Fraction:
        """One frame's duration at the stated rate, or at 25 frames per second."""
        return 1 / (self.info.fps or Fraction(25))

    @property
    def may_be_joined(self) -> bool:
        """Whether ffmpeg may flag whole packets as corrupt, as it does where two pieces of MPEG-TS were joined.

        Then ffmpeg must not stop at such a flag; it is stopped at the first error that its log shows instead.
        """
        return self.demuxer in STREAMED
