"""What a clip is: pixels and their times, and what is known about the file that they came from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

MAX_PIXELS = 2**26  # of one frame: 8192 x 8192, a raw frame of 192 MiB; a larger header is refused unread
MAX_FRAMES = 2_000_000  # of one clip: 18 hours at 30 frames a second

Kind = Literal["video", "animation", "still", "folder"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture and its time.

    index: position in the source, counted from 0, also within a span.
    pts_seconds: exact time of the frame, relative to the first frame that is delivered.
    pixels: (h, w, 3) RGB or (h, w, 4) RGBA with straight alpha, uint8, upright, square pixels.
    duration_seconds: how long the picture is shown, where the source says so; None: until the next one.
    """

    index: int
    pts_seconds: Fraction
    pixels: np.ndarray
    duration_seconds: Fraction | None = None


@dataclass(frozen=True, kw_only=True)
class Colour:
    """How YUV and display colours relate, in ffmpeg's names; None: the source does not say."""

    matrix: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    full_range: bool | None = None


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """One sound track: its codec in ffmpeg's name ("aac", "opus", "pcm_s16le") and ffmpeg's own description."""

    codec: str
    description: str


@dataclass(frozen=True, kw_only=True)
class SubtitleTrack:
    """One subtitle track: its codec in ffmpeg's name ("subrip", "mov_text", "webvtt") and ffmpeg's own description."""

    codec: str
    description: str


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What is known of a clip before it is decoded.

    path: the source; None for a picture that was generated.
    kind: "video" (a container), "animation" (GIF, APNG, WebP, AVIF), "still", or "folder" (of pictures).
    container: ffmpeg's name for a video's container ("mov", "matroska"); None for anything else.
    width, height: display size in pixels, after rotation, with square pixels.
    frames: number of frames that will be delivered; None: not known until decoded.
    fps: frames a second as the container states it; None for stills and where it says nothing.
    variable_rate: whether durations differ; None: not known until decoded.
    duration_seconds: as stated; None where not known.
    audio, subtitles: sound and subtitle tracks in order.
    language: of the picture track, such as "eng"; None where the file does not say.
    alpha: frames carry a fourth channel.
    loop: how often an animation plays, 0 for ever; None for anything that is no animation.
    colour: the source's colour tags; frames are in the source's own primaries and transfer.
    time_base: all timestamps are multiples of it; None where times are arbitrary.
    container_start_seconds: time stamp at which the file starts, as its container counts.
    first_pts_seconds: the first frame's time stamp, as its container counts.
    icc_profile: colour profile of a still in RGB.
    """

    path: Path | None
    kind: Kind
    width: int
    height: int
    container: str | None = None
    frames: int | None = None
    fps: Fraction | None = None
    variable_rate: bool | None = None
    duration_seconds: Fraction | None = None
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[SubtitleTrack, ...] = ()
    language: str | None = None
    alpha: bool = False
    loop: int | None = None
    colour: Colour = field(default_factory=Colour)
    time_base: Fraction | None = None
    container_start_seconds: Fraction = Fraction(0)
    first_pts_seconds: Fraction = Fraction(0)
    icc_profile: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip that is opened and described, not decoded.

    info: of what will be delivered; with a span, ``frames`` and ``duration_seconds`` are the span's.
    span: half-open range of source frames (start, stop), counted from 0; None: the whole clip.
    span_seconds: when the span starts and stops, relative to the clip's first frame; None: the whole clip.
    """

    info: ClipInfo
    open: Callable[[], Iterator[Frame]] = field(repr=False)
    span: tuple[int, int] | None = None
    span_seconds: tuple[Fraction, Fraction] | None = None

    def frames(self) -> Iterator[Frame]:
        """Lazy, sequential, from the first frame of the span; each call is a new pass over the file.

        Raises DecodeError, which names the file and the frame, where decoding fails.
        """
        return self.open()


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames between two cuts, in order, or a part of a long shot.

    index counts shots from 0, part the parts of one; more: another part follows.
    """

    index: int
    frames: tuple[Frame, ...]
    part: int = 0
    more: bool = False
