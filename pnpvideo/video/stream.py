"""Video files, described and decoded by ffmpeg, one sequential pass."""

import contextlib
import math
import os
import queue
import re
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Notice, Report
from pnpvideo.scratch import scratch_folder
from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import MAX_FRAMES, MAX_PIXELS, AudioTrack, ClipInfo, Colour, Frame
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.formats import MATRICES

_CONFIG = re.compile(
    r"^\[Parsed_showinfo_\d+ @ \w+\] config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)", re.MULTILINE
)
_FRAME = re.compile(
    r"^\[Parsed_showinfo_\d+ @ \w+\] n: *0 pts: *(-?\d+) .*?fmt:(\w+) .*?sar:(\d+)/(\d+) s:(\d+)x(\d+)", re.MULTILINE
)
_COLOUR = re.compile(
    r"^\[Parsed_showinfo_\d+ @ \w+\] +color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)",
    re.MULTILINE,
)
_DURATION = re.compile(r"^  Duration: (?:(\d+):(\d\d):(\d\d\.\d+)|N/A)(?:, start: (-?\d+\.\d+))?", re.MULTILINE)
_STREAM = re.compile(r"^  Stream #0:\d+[^:\n]*: (Video|Audio): ((\w+).*)$", re.MULTILINE)
_ALPHA_MODE = re.compile(r"^ +alpha_mode +: 1$", re.MULTILINE | re.IGNORECASE)
_ALPHA_FORMAT = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8|ayuv|vuya")
HIGHEST_FPS = 1000  # a stated rate beyond is the tick of a clock, not a rate

# What ffmpeg says of a file that ends too soon or is damaged, also where it then ends with success.
_LOSS = re.compile(
    r"^\[in#|partial file|ended prematurely|truncat|corrupt|invalid data|error while decoding|crc mismatch"
    r"|error parsing|invalid as first byte|exceeds containing",
    re.IGNORECASE | re.MULTILINE,
)
_ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The first picture track of a video file.

    demuxer: ffmpeg's name for the container. decoder: one to be named to ffmpeg, None for its own choice.
    allow_partial: deliver what can be decoded of a damaged file, and say so, instead of failing.
    patience_seconds: how long ffmpeg may stay silent before it is taken for hung.
    """

    path: Path
    demuxer: str
    info: ClipInfo
    decoder: str | None
    allow_partial: bool
    patience_seconds: float
    report: Report

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames start to stop (exclusive) of the file, the first of them at 0 seconds."""
        size = (self.info.height, self.info.width, 4 if self.info.alpha else 3)
        origin: Fraction | None = None
        for index, pts_seconds, raw in self._pass(start, stop, math.prod(size)):
            origin = pts_seconds if origin is None else origin
            yield Frame(index, pts_seconds - origin, np.frombuffer(raw, np.uint8).reshape(size))

    def edges(self, stop: int | None = None) -> list[Fraction]:
        """Times of the frames up to ``stop``, decoded but not delivered; without a next frame the last one lasts as
        long as the one before it, a single one for one period of the stated rate."""
        times = [pts_seconds for _, pts_seconds, _ in self._pass(0, None if stop is None else stop + 1, 1)]
        if stop is None or len(times) <= stop:
            step = times[-1] - times[-2] if len(times) > 1 else 1 / (self.info.fps or Fraction(25))
            times.append(times[-1] + step)
        return [pts_seconds - times[0] for pts_seconds in times]

    def _arguments(self, start: int, stop: int | None, frame_bytes: int, stats: str) -> list[str]:
        strict = [] if self.allow_partial else ["-xerror", "-err_detect", "explode"]
        filters = []
        if start or stop is not None:
            filters.append(f"trim=start_frame={start}" + ("" if stop is None else f":end_frame={stop}"))
        if frame_bytes == 1:  # only the times are wanted
            filters.append("crop=1:1:0:0:exact=1")
            filters.append("scale=1:1")
            pixels = "gray"
        else:
            filters.append(f"scale={self.info.width}:{self.info.height}:flags=bicubic+accurate_rnd+full_chroma_int")
            pixels = "rgba" if self.info.alpha else "rgb24"
        return [
            *("-v", "error", *strict, *ffmpeg.input_arguments(self.path, self.demuxer, self.decoder)),
            *("-map", "0:V:0", "-vf", ",".join(filters), "-fps_mode", "passthrough", "-enc_time_base", "demux"),
            *("-c:v", "rawvideo", "-pix_fmt", pixels, "-stats_enc_pre:v", stats),
            *("-stats_enc_pre_fmt:v", "{pts} {tb}", "-f", "rawvideo", "pipe:1"),
        ]

    def _pass(self, start: int, stop: int | None, frame_bytes: int) -> Iterator[tuple[int, Fraction, bytes]]:
        with scratch_folder() as folder:
            stats = folder / "times"
            with (
                ffmpeg.Child(self._arguments(start, stop, frame_bytes, str(stats)), stdout=True) as child,
                contextlib.ExitStack() as closing,
            ):
                assert child.process.stdout is not None
                index, previous, clock = start, None, None
                try:
                    pieces = _pieces(child.process.stdout, frame_bytes, self.patience_seconds)
                    for raw in closing.enter_context(contextlib.closing(pieces)):
                        clock = clock or closing.enter_context(stats.open(encoding="ascii"))
                        pts_seconds = _time(clock.readline())
                        if pts_seconds is None or (previous is not None and pts_seconds <= previous):
                            raise DecodeError(
                                f"{self._named()}: the time stamp of frame {index} is missing or not after that of "
                                "the frame before; remux the file so that every frame has its own time"
                            )
                        if index >= MAX_FRAMES:
                            raise InputError(f"{self._named()} has more than {MAX_FRAMES} frames; name a span of it")
                        yield index, pts_seconds, raw
                        previous = pts_seconds
                        index += 1
                except TimeoutError:
                    raise DecodeError(
                        f"{self._named()}: decoding hangs at frame {index}; "
                        f"nothing came for {self.patience_seconds:g} s, so it was stopped"
                    ) from None
                self._finish(child, index, index - start)

    def _finish(self, child: ffmpeg.Child, index: int, delivered: int) -> None:
        status, errors = child.wait(), child.errors()
        said = ffmpeg.last_words(errors)
        lost = status != 0 or _LOSS.search(errors) is not None or (self.allow_partial and errors != "")
        if lost and not self.allow_partial:
            raise DecodeError(
                f"{self._named()} is damaged or cut short; decoding failed at frame {index}: {said}. "
                "--allow-partial keeps what can be read"
            )
        if delivered == 0:
            raise DecodeError(f"{self._named()}: no frame could be decoded: {said}")
        if lost:
            self.report(Notice(message=f"{self._named()} is damaged; {delivered} frames could be read: {said}"))

    def _named(self) -> str:
        return ffmpeg.printable(str(self.path))


def describe(path: Path, demuxer: str, *, timeout_seconds: float) -> tuple[ClipInfo, str | None]:
    """What the file says of itself and its first decoded frame shows, and the decoder that it needs, if a special one.

    InputError: no picture track, or a frame beyond MAX_PIXELS. DecodeError: the first frame cannot be decoded.
    """
    named = ffmpeg.printable(str(path))
    decoder: str | None = None
    status, said = _look(path, demuxer, None, timeout_seconds)
    video = [match for match in _STREAM.finditer(said) if match[1] == "Video" and "(attached pic)" not in match[2]]
    if video and _ALPHA_MODE.search(said) and video[0][3] in _ALPHA_DECODERS:
        decoder = _ALPHA_DECODERS[video[0][3]]
        status, said = _look(path, demuxer, decoder, timeout_seconds)
    if status is None:
        raise DecodeError(f"{named}: decoding hangs at the first frame; stopped after {timeout_seconds:g} s")
    config, frame, colour = _CONFIG.search(said), _FRAME.search(said), _COLOUR.search(said)
    if config is None and _STREAM.search(said) is None:
        raise DecodeError(f"{named}: its index is missing or damaged; the file is cut short: {ffmpeg.last_words(said)}")
    if not video:
        raise InputError(f"{named} holds no picture track; give a video, an animation or a still")
    if config is None or frame is None:
        raise DecodeError(f"{named}: the first frame cannot be decoded: {ffmpeg.last_words(said)}")
    stored_width, height = int(frame[5]), int(frame[6])
    aspect = Fraction(int(frame[3]), int(frame[4])) if int(frame[3]) and int(frame[4]) else Fraction(1)
    width = max(1, round(stored_width * aspect))
    if width * height > MAX_PIXELS:
        raise InputError(f"{named} is {width}x{height}; accepted are frames of up to {MAX_PIXELS} pixels")
    _check_colour(named, _colour(colour))
    stated = _DURATION.search(said)
    time_base = Fraction(int(config[1]), int(config[2]))
    rate = Fraction(int(config[3]), int(config[4])) if int(config[3]) and int(config[4]) else None
    if rate is not None and rate >= HIGHEST_FPS:
        rate = None
    info = ClipInfo(
        path=path,
        kind="video",
        container=demuxer,
        width=width,
        height=height,
        fps=rate,
        duration_seconds=_stated_duration(stated),
        audio=tuple(
            AudioTrack(codec=match[3], description=ffmpeg.printable(match[2]))
            for match in _STREAM.finditer(said)
            if match[1] == "Audio"
        ),
        alpha=_ALPHA_FORMAT.search(frame[2]) is not None,
        colour=_colour(colour),
        time_base=time_base,
        container_start_seconds=Fraction(stated[4]) if stated and stated[4] else Fraction(0),
        first_pts_seconds=int(frame[1]) * time_base,
    )
    return info, decoder


def _check_colour(named: str, colour: Colour) -> None:
    """InputError for colours that ffmpeg cannot make RGB of."""
    if colour.matrix is not None and colour.matrix not in ("gbr", *MATRICES):
        raise InputError(
            f"{named}: its colour matrix is {printable(colour.matrix)}; accepted are {', '.join(MATRICES)}: convert it"
        )
    if colour.transfer in ("log100", "log316"):
        raise InputError(f"{named}: its transfer is {colour.transfer}, which no picture here can keep; convert it")


def _look(path: Path, demuxer: str, decoder: str | None, timeout_seconds: float) -> tuple[int | None, str]:
    see = ["-map", "0:V:0", "-vf", "showinfo", "-frames:v", "1", "-f", "null", os.devnull]
    return ffmpeg.run(["-v", "info", "-copyts", *ffmpeg.input_arguments(path, demuxer, decoder), *see], timeout_seconds)


def _pieces(pipe: IO[bytes], size: int, patience_seconds: float) -> Generator[bytes, None, None]:
    """The pipe's content in pieces of ``size`` bytes; a rest at the end is dropped. TimeoutError when it dries up."""
    pieces: queue.Queue[bytes | None] = queue.Queue(maxsize=2)
    left = threading.Event()

    def pump() -> None:
        with pipe:
            while not left.is_set():
                piece = bytearray()
                while len(piece) < size and (part := pipe.read(size - len(piece))):
                    piece += part
                pieces.put(bytes(piece) if len(piece) == size else None)
                if len(piece) < size:
                    return

    threading.Thread(target=pump, daemon=True).start()
    try:
        while True:
            try:
                piece = pieces.get(timeout=patience_seconds)
            except queue.Empty:
                raise TimeoutError from None
            if piece is None:
                return
            yield piece
    finally:
        left.set()
        while not pieces.empty():
            pieces.get_nowait()


def _time(line: str) -> Fraction | None:
    match = re.fullmatch(r"(-?\d+) (\d+)/(\d+)\n", line)
    return Fraction(int(match[1]) * int(match[2]), int(match[3])) if match else None


def _stated_duration(match: re.Match[str] | None) -> Fraction | None:
    if match is None or match[1] is None:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])


def _colour(match: re.Match[str] | None) -> Colour:
    if match is None:
        return Colour()
    said = [None if value in ("unknown", "reserved") else value for value in match.groups()]
    full_range = {None: None, "pc": True, "tv": False}.get(said[0])
    return Colour(full_range=full_range, matrix=said[1], primaries=said[2], transfer=said[3])
