"""Read a clip for a page: each picture once, as WebP, with the time of each frame.

A page draws single pictures instead of playing a video, because no browser promises which frame it shows after a seek
in a video. WebP is decoded by every current browser and needs no codec that a system may lack, unlike H.264.
"""

import base64
import dataclasses
import io
import itertools
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from PIL import Image

from pnpvideo.compare.clips import bytes_of, duration_of, labels_of, path_of, size_within
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.video.clip import Clip, ClipInfo, Frame
from pnpvideo.video.input_file import recognise
from pnpvideo.video.pixels import composite_over_white, resize

MOST_FRAMES = 300
"""Frames of one clip in a page."""
MEASURED_SIDE = 256
"""Short side in pixels of the pictures that are measured."""
QUALITY, EFFORT = 90, 2
"""Of WebP: at 960 x 540, some 55 KB and 27 ms a picture."""


@dataclass(frozen=True, kw_only=True)
class Media:
    """A clip as a page shows it."""

    label: str
    info: ClipInfo
    """As the file states it; ``width`` and ``height`` are the file's."""
    format: str
    """Container and codec, or kind of picture, for people."""
    file_bytes: int
    """Size of the file, or of all files of a folder."""
    width: int
    """Of the pictures in the page, in pixels."""
    height: int
    first: int
    """Number of the first frame in the file, counted from 0; above 0 for a span."""
    times: tuple[Fraction, ...]
    """When each frame begins, in seconds from the first one."""
    end_seconds: Fraction
    numbers: tuple[int, ...]
    """For each frame, which of the pictures it shows; frames that are equal to the one before share one."""
    pictures: tuple[bytes, ...]
    """WebP files."""
    measured: tuple[np.ndarray, ...]
    """The same pictures for measuring, (h, w, 3) uint8, over white, with a short side of at most MEASURED_SIDE."""

    @property
    def base64(self) -> str:
        """The pictures in base64, one a line."""
        return "\n".join(base64.b64encode(picture).decode("ascii") for picture in self.pictures)


def read_media(clips: Sequence[Clip], widest: int, report: Report) -> list[Media]:
    """Read clips for one page. ``widest``: largest width of a picture in pixels.

    What lies beyond the first MOST_FRAMES frames of any of them is left out of all, with a notice.
    """
    media = [
        _read(clip, label, widest, report)
        for clip, label in zip(clips, labels_of([path_of(clip) for clip in clips]), strict=True)
    ]
    cut = min((each.times[MOST_FRAMES] for each in media if len(each.times) > MOST_FRAMES), default=None)
    if cut is not None:
        shown = f"the first {float(cut):.3f} s are shown; --frames A:B shows others"
        report(Notice(message=f"a page holds up to {MOST_FRAMES} frames of a clip: {shown}"))
        media = [_until(each, cut) for each in media]
    for each in media:
        if each.width != each.info.width:
            sizes = f"{each.info.width} x {each.info.height}, shown at {each.width} x {each.height}"
            report(Notice(message=f"{each.label} is {sizes}; --width N changes that"))
    return media


def _read(clip: Clip, label: str, widest: int, report: Report) -> Media:
    width, height = size_within(clip.info.width, clip.info.height, widest)
    share = min(1.0, MEASURED_SIDE / min(width, height))
    small = max(1, round(width * share)), max(1, round(height * share))
    frames: list[Frame] = []  # without their pixels, but for the latest one
    numbers, pictures, measured = list[int](), list[bytes](), list[np.ndarray]()
    for frame in itertools.islice(clip.frames(), MOST_FRAMES + 1):
        if not frames or not np.array_equal(frames[-1].pixels, frame.pixels):
            picture = resize(frame.pixels, (width, height))
            pictures.append(_webp(picture))
            measured.append(resize(composite_over_white(picture), small))
        numbers.append(len(pictures) - 1)
        if frames:
            frames[-1] = dataclasses.replace(frames[-1], pixels=frame.pixels[:0])
        frames.append(frame)
        report(Progress(stage="read", done=len(frames), total=clip.info.frames or 0, unit="frame"))
    return Media(
        label=label,
        info=clip.info,
        format=_format_of(clip),
        file_bytes=bytes_of(path_of(clip)),
        width=width,
        height=height,
        first=frames[0].index,
        times=tuple(frame.pts_seconds for frame in frames),
        end_seconds=frames[-1].pts_seconds + duration_of(frames[-1], frames[-2] if len(frames) > 1 else None, clip),
        numbers=tuple(numbers),
        pictures=tuple(pictures),
        measured=tuple(measured),
    )


def _until(media: Media, end_seconds: Fraction) -> Media:
    """The frames that begin before ``end_seconds``."""
    count = bisect_left(media.times, end_seconds)
    numbers = media.numbers[:count]
    return dataclasses.replace(
        media,
        times=media.times[:count],
        end_seconds=min(media.end_seconds, end_seconds),
        numbers=numbers,
        pictures=media.pictures[: numbers[-1] + 1],
        measured=media.measured[: numbers[-1] + 1],
    )


def _webp(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=EFFORT)
    return file.getvalue()


def _format_of(clip: Clip) -> str:
    if clip.info.codec is not None:
        return f"{clip.info.codec} in {clip.info.container}"
    picture = recognise(path_of(clip)).picture
    return "folder of pictures" if picture is None else picture.name
