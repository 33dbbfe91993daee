"""decord, an optional decoder that is never trusted: its times are checked against ffmpeg's.

decord 0.6.0 delivers wrong pictures after a seek where groups of pictures are open, and wrong counts where a file
has an edit list. It is therefore read in sequence, and refused where its frames are not ffmpeg's.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.likeness import psnr
from pnpvideo.video.stream import Stream

if TYPE_CHECKING:
    from pnpvideo.video.read import Source

DEMUXERS = ("mov", "matroska", "avi")
TOLERANCE_SECONDS = 0.001
SAME_DB = 20.0  # below it, two decoders do not show the same picture


@dataclass(frozen=True, kw_only=True)
class Scrubbed:
    """A video that decord decodes at the times that ffmpeg found."""

    stream: Stream
    times: tuple[Fraction, ...]

    @classmethod
    def of(cls, source: "Source") -> "Scrubbed":
        """InputError: not a video that decord reads right, or decord is not installed. Decodes once, with ffmpeg."""
        named = printable(str(source.info.path))
        if not isinstance(source, Stream) or source.demuxer not in DEMUXERS or source.info.alpha or source.tone:
            raise InputError(
                f"{named}: decord reads opaque mp4, mov, mkv, webm and avi in SDR only; use decoder ffmpeg"
            )
        scrubbed = cls(stream=source, times=tuple(source.edges()))
        reader = scrubbed._reader()
        if len(reader) != len(scrubbed.times) - 1:
            raise scrubbed._wrong(f"it finds {len(reader)} frames, ffmpeg {len(scrubbed.times) - 1}")
        theirs = cv2.resize(reader[0].asnumpy(), (source.info.width, source.info.height))
        if psnr(theirs, next(source.frames(0, 1)).pixels) < SAME_DB:
            raise scrubbed._wrong("its first picture is another one")
        stamps = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        for index, (stamp, time) in enumerate(zip(stamps - stamps[0], scrubbed.times, strict=False)):
            if abs(stamp - float(time)) > TOLERANCE_SECONDS:
                raise scrubbed._wrong(f"it puts frame {index} at {stamp:.4f} s, ffmpeg at {float(time):.4f} s")
        return scrubbed

    @property
    def info(self) -> ClipInfo:
        return self.stream.info

    def edges(self, stop: int | None = None) -> list[Fraction]:
        return list(self.times[: None if stop is None else stop + 1])

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        reader, size = self._reader(), (self.info.width, self.info.height)
        for index in range(len(self.times[:-1][:stop])):
            try:
                picture = reader.next().asnumpy()
            except (StopIteration, RuntimeError) as error:
                raise DecodeError(f"{self._named()}: decord failed at frame {index}; use decoder ffmpeg") from error
            if index >= start:
                if picture.shape[1::-1] != size:
                    picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
                yield Frame(index, self.times[index] - self.times[start], picture)

    def _reader(self) -> Any:
        try:
            decord = importlib.import_module("decord")
        except ImportError as error:
            raise InputError(f"decord cannot be loaded ({error}); install it, or use decoder ffmpeg") from error
        try:
            return decord.VideoReader(str(self.stream.path.absolute()), num_threads=1)
        except (RuntimeError, decord.DECORDError) as error:
            raise InputError(f"{self._named()}: decord cannot open it; use decoder ffmpeg") from error

    def _wrong(self, how: str) -> InputError:
        return InputError(f"{self._named()}: decord reads this file wrongly ({how}); use decoder ffmpeg")

    def _named(self) -> str:
        return printable(str(self.stream.path))
