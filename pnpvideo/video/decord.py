"""decord as an optional decoder, whose frame count and times are checked against ffmpeg's.

decord 0.6.0 delivers wrong pictures after a seek if groups of pictures are open, and wrong counts if a file has an edit
list. It is therefore read in sequence, and refused if its frames are not ffmpeg's.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2

from pnpvideo.errors import DecodeError, InputError, printable
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.pixels import psnr
from pnpvideo.video.source import Source
from pnpvideo.video.stream import VideoStream

DEMUXERS = ("mov", "matroska", "avi")
TOLERANCE_SECONDS = 0.001
"""Largest difference between decord's and ffmpeg's time of a frame."""
SAME_DB = 20.0
"""PSNR in dB below which two decoders do not show the same picture."""


@dataclass(frozen=True, kw_only=True)
class DecordVideo:
    """A video that decord decodes, at the times that ffmpeg found."""

    stream: VideoStream
    edges_seconds: tuple[Fraction, ...]
    """Times at which the frames begin, and at which the last one ends, by ffmpeg."""

    @classmethod
    def open(cls, source: Source) -> "DecordVideo":
        """Check decord against ffmpeg, which decodes the source once for that.

        Raises InputError if it is not a video that decord reads correctly, or if decord is not installed.
        """
        if not isinstance(source, VideoStream) or not _is_supported(source):
            raise InputError(
                f"{printable(str(source.info.path))}: decord reads opaque mp4, mov, mkv, webm and avi in SDR only, "
                "none that are interlaced; use decoder ffmpeg"
            )
        video = cls(stream=source, edges_seconds=tuple(source.edges()))
        reader, count = video._reader(), len(video.edges_seconds) - 1
        if len(reader) != count:
            raise video._wrong(f"it finds {len(reader)} frames, ffmpeg {count}")
        first = cv2.resize(reader[0].asnumpy(), (source.info.width, source.info.height))
        if psnr(first, next(source.frames(0, 1)).pixels) < SAME_DB:
            raise video._wrong("its first picture is another one")
        stamps = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        for index, (stamp, time) in enumerate(zip(stamps - stamps[0], video.edges_seconds, strict=False)):
            if abs(stamp - float(time)) > TOLERANCE_SECONDS:
                raise video._wrong(f"it puts frame {index} at {stamp:.4f} s, ffmpeg at {float(time):.4f} s")
        return video

    @property
    def info(self) -> ClipInfo:
        return self.stream.info

    def edges(self, stop: int | None = None, stop_seconds: Fraction | None = None) -> list[Fraction]:
        """Times at which the frames begin, and at which the last one ends. See ``Source.edges``."""
        return list(self.edges_seconds)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Decode frames start to stop (exclusive), the first of them at 0 seconds."""
        reader, size = self._reader(), (self.info.width, self.info.height)
        for index in range(len(self.edges_seconds[:-1][:stop])):
            try:
                picture = reader.next().asnumpy()
            except (StopIteration, RuntimeError) as error:
                raise DecodeError(f"{self._name}: decord failed at frame {index}; use decoder ffmpeg") from error
            if index >= start:
                if picture.shape[1::-1] != size:
                    picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
                begin, end = self.edges_seconds[index : index + 2]
                is_last = index + 2 == len(self.edges_seconds)
                yield Frame(index, begin - self.edges_seconds[start], picture, end - begin if is_last else None)

    def _reader(self) -> Any:
        try:
            decord = importlib.import_module("decord")
        except ImportError as error:
            raise InputError(f"decord cannot be loaded ({error}); install it, or use decoder ffmpeg") from error
        try:
            return decord.VideoReader(str(self.stream.track.path.absolute()), num_threads=1)
        except (RuntimeError, decord.DECORDError) as error:
            raise InputError(f"{self._name}: decord cannot open it; use decoder ffmpeg") from error

    def _wrong(self, how: str) -> InputError:
        return InputError(f"{self._name}: decord reads this file wrongly ({how}); use decoder ffmpeg")

    @property
    def _name(self) -> str:
        return self.stream.track.name


def _is_supported(source: VideoStream) -> bool:
    return (
        source.track.demuxer in DEMUXERS
        and not source.info.alpha
        and not source.track.tone_filters
        and not source.track.deinterlaced
    )
