"""The data types of a clip: frames with their times, what is known about the file, and shots."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # so that an error in what the user typed comes at once
    import numpy as np

MAX_PIXELS = 2**26
"""Pixels of one frame: 8192 x 8192, a raw frame of 192 MiB. Files whose headers state more are refused undecoded."""
MAX_FRAMES = 2_000_000
"""Frames of one clip: 18 hours at 30 frames a second."""

_SOUND = re.compile(r", (\d+) Hz, ([^,]+)")

Kind = Literal["video", "animation", "still", "folder"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture and its time."""

    index: int
    """Position in the source, counted from 0, also when only a span of the source is read."""
    pts_seconds: Fraction
    """Exact presentation time, relative to the first frame that is delivered."""
    pixels: np.ndarray
    """(h, w, 3) RGB or (h, w, 4) RGBA with straight alpha, uint8, upright, square pixels."""
    duration_seconds: Fraction | None = None
    """How long the frame is shown, if the source states it; None: until the next frame."""


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour tags of a video in ffmpeg's names, such as "bt709". None: the source does not state the tag."""

    matrix: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    full_range: bool | None = None


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """One sound track: its codec in ffmpeg's name ("aac", "opus", "pcm_s16le") and ffmpeg's own description."""

    codec: str
    description: str

    @property
    def rate_hz(self) -> int | None:
        """Samples per second; None if ffmpeg does not say."""
        found = _SOUND.search(self.description)
        return int(found[1]) if found else None

    @property
    def layout(self) -> str:
        """Channels in ffmpeg's words: "stereo", "5.1(side)", "9 channels"; empty if ffmpeg does not say."""
        found = _SOUND.search(self.description)
        return found[2].strip() if found else ""


@dataclass(frozen=True, kw_only=True)
class SubtitleTrack:
    """One subtitle track: its codec in ffmpeg's name ("subrip", "mov_text", "webvtt") and ffmpeg's own description."""

    codec: str
    description: str


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What is known about a clip before it is decoded."""

    path: Path | None
    """The source; None for a picture that was generated."""
    kind: Kind
    """One of "video" (a container), "animation" (GIF, APNG, WebP, AVIF), "still", or "folder" (of pictures)."""
    width: int
    """Display width in pixels, after rotation, with square pixels."""
    height: int
    """Display height in pixels, likewise."""
    container: str | None = None
    """ffmpeg's name for a video's container ("mov", "matroska"); None for all other kinds."""
    codec: str | None = None
    """ffmpeg's name for the codec of a video's video track ("h264", "vp9"); None for all other kinds."""
    frames: int | None = None
    """Number of frames that will be delivered; None: not known until the clip is decoded."""
    fps: Fraction | None = None
    """Frames per second as the container states it; None for stills, and if it states none."""
    variable_rate: bool | None = None
    """Whether the frames' durations differ; None: not known until the clip is decoded."""
    duration_seconds: Fraction | None = None
    """Duration as the file states it; None if not known."""
    audio: tuple[AudioTrack, ...] = ()
    """Sound tracks, in the order of the file."""
    subtitles: tuple[SubtitleTrack, ...] = ()
    """Subtitle tracks, in the order of the file."""
    language: str | None = None
    """Language of the video track, such as "eng"; None if the file does not state it."""
    timecode: str | None = None
    """Timecode of the first frame, such as "01:00:00:00"; None if the file does not state it."""
    alpha: bool = False
    """Whether frames have a fourth channel."""
    loop: int | None = None
    """How many times an animation plays, 0: forever; None for all other kinds."""
    colour: Colour = field(default_factory=Colour)
    """Colour tags of the source; frames are in the source's own primaries and transfer."""
    time_base: Fraction | None = None
    """All timestamps are multiples of this many seconds; None if times are arbitrary."""
    container_start_seconds: Fraction = Fraction(0)
    """Timestamp at which the file starts, as its container counts."""
    first_pts_seconds: Fraction = Fraction(0)
    """Timestamp of the first frame, as its container counts."""
    icc_profile: bytes | None = field(default=None, repr=False)
    """Colour profile of an RGB still."""

    @property
    def frames_about(self) -> int:
        """The number of frames, from the duration where the file does not state it; 0 where neither is known."""
        if self.frames is None and self.fps is not None and self.duration_seconds is not None:
            return max(1, round(self.fps * self.duration_seconds))
        return self.frames or 0


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip that is opened and described, but not decoded."""

    info: ClipInfo
    """Describes what will be delivered; with a span, ``frames`` and ``duration_seconds`` are those of the span."""
    open: Callable[[], Iterator[Frame]] = field(repr=False)
    span: tuple[int, int] | None = None
    """Half-open range of source frames (start, stop), counted from 0; None: the whole clip."""
    span_seconds: tuple[Fraction, Fraction] | None = None
    """Start and end of the span, relative to the clip's first frame; None: the whole clip."""

    def frames(self) -> Iterator[Frame]:
        """Decode the frames of the span lazily, in order; each call reads the file again from the beginning.

        Raises DecodeError, which names the file and the frame, if decoding fails.
        """
        return self.open()


@dataclass(frozen=True, eq=False)
class Shot:
    """Consecutive frames between two cuts, or one part of a long shot."""

    index: int
    """Number of the shot, counted from 0."""
    frames: tuple[Frame, ...]
    part: int = 0
    """Number of this part of the shot, counted from 0."""
    more: bool = False
    """Whether another part of the same shot follows."""
    last: bool = False
    """Whether the clip ends with these frames."""
    shown: Frame | None = None
    """The frame that says what the shot shows, for its caption; None: the middle drawing of its first part."""
