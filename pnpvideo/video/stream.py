"""Video files, described and decoded by ffmpeg, one sequential pass."""

import contextlib
import dataclasses
import math
import os
import queue
import re
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Notice, Report
from pnpvideo.scratch import scratch_folder
from pnpvideo.video import decode_log, ffmpeg, tone, tracks
from pnpvideo.video.clip import MAX_FRAMES, MAX_PIXELS, AudioTrack, ClipInfo, Colour, Frame, SubtitleTrack
from pnpvideo.video.completeness import Completeness
from pnpvideo.video.decode_log import DecodeLog
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
_DOLBY_VISION_5 = re.compile(r"DOVI configuration record:.* profile: 5,")
_ALPHA_MODE = re.compile(r"^ +alpha_mode +: 1$", re.MULTILINE | re.IGNORECASE)
_ALPHA_FORMAT = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya\d|pal8|ayuv|vuya")
HIGHEST_FPS = 1000  # a stated rate beyond is the tick of a clock, not a rate

# What ffmpeg says of a file that ends too soon or is damaged, also where it then ends with success.
_LOSS = re.compile(
    r"^\[in#|partial file|ended prematurely|truncat|corrupt|invalid data|error while decoding|crc mismatch"
    r"|error parsing|invalid as first byte|exceeds containing",
    re.IGNORECASE | re.MULTILINE,
)
STREAMED = ("mpegts", "mpeg")  # containers that are broadcast: cut anywhere, joined by appending
_ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One picture track of a video file.

    demuxer: ffmpeg's name for the container. index: the track's number among all tracks of the file.
    stored: width and height of its pictures before the sample aspect is applied.
    decoder: one to be named to ffmpeg, None for its own choice. tone: filters that make SDR of HDR.
    left_out: packets at the beginning that cannot be decoded, because they come before the first keyframe.
    lenient: errors before the first picture do not count: its keyframes are open, and refer to what was left out.
    allow_partial: deliver what can be decoded of a damaged file, and say so, instead of failing.
    patience_seconds: how long ffmpeg may stay silent before it is taken for hung.
    """

    path: Path
    demuxer: str
    index: int
    info: ClipInfo
    stored: tuple[int, int]
    decoder: str | None
    tone: tuple[str, ...]
    left_out: int
    lenient: bool
    allow_partial: bool
    patience_seconds: float
    report: Report

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames start to stop (exclusive) of the file, the first of them at 0 seconds. DecodeError where there are
        fewer, unless partial results are allowed."""
        size = (self.info.height, self.info.width, 4 if self.info.alpha else 3)
        origin: Fraction | None = None
        index = start - 1
        for index, pts_seconds, raw in self._pass(start, stop, math.prod(size)):
            origin = pts_seconds if origin is None else origin
            yield Frame(index, pts_seconds - origin, np.frombuffer(raw, np.uint8).reshape(size))
        if stop is not None and index + 1 < stop:
            missing = f"{self._named()}: frames {start}:{stop} were asked for, and decoding ended before {index + 1}"
            if not self.allow_partial:
                raise DecodeError(f"{missing}; --allow-partial keeps what can be read")
            self.report(Notice(message=missing))

    def edges(self, stop: int | None = None) -> list[Fraction]:
        """Times of the frames up to ``stop``, decoded but not delivered; without a next frame the last one lasts as
        long as the one before it, a single one for one period of the stated rate."""
        times = [pts_seconds for _, pts_seconds, _ in self._pass(0, None if stop is None else stop + 1, 1)]
        if stop is None or len(times) <= stop:
            step = times[-1] - times[-2] if len(times) > 1 else 1 / (self.info.fps or Fraction(25))
            times.append(times[-1] + step)
        return [pts_seconds - times[0] for pts_seconds in times]

    def _arguments(self, start: int, stop: int | None, frame_bytes: int, stats: str) -> list[str]:
        strict = [] if self.allow_partial or self.lenient else ["-err_detect", "explode"]
        if not self.allow_partial and not self._joinable:
            strict += ["-xerror"]
        filters = [decode_log.guard(*self.stored)]
        if start or stop is not None:
            filters.append(f"trim=start_frame={start}" + ("" if stop is None else f":end_frame={stop}"))
        if frame_bytes == 1:  # only the times are wanted
            filters.append("crop=1:1:0:0:exact=1")
            filters.append("scale=1:1")
            pixels = "gray"
        else:
            filters += self.tone
            filters.append(f"scale={self.info.width}:{self.info.height}:flags=bicubic+accurate_rnd+full_chroma_int")
            pixels = "rgba" if self.info.alpha else "rgb24"
        given = ffmpeg.input_arguments(self.path, self.demuxer, self.decoder, self.left_out)
        return [
            *("-v", decode_log.LEVEL, "-nostats", *strict, *given),
            *("-map", f"0:{self.index}", "-vf", ",".join(filters), "-fps_mode", "passthrough"),
            *("-enc_time_base", "demux", "-c:v", "rawvideo", "-pix_fmt", pixels, "-stats_enc_pre:v", stats),
            *("-stats_enc_pre_fmt:v", "{pts} {tb}", "-f", "rawvideo", "pipe:1"),
        ]

    @property
    def _joinable(self) -> bool:
        """Whether packets may be flagged as corrupt that are whole, as where two pieces of MPEG-TS are joined: then
        ffmpeg is not to stop at the flag, but is stopped at the first line of an error."""
        return self.demuxer in STREAMED

    def _pass(self, start: int, stop: int | None, frame_bytes: int) -> Iterator[tuple[int, Fraction, bytes]]:
        with scratch_folder() as folder, contextlib.ExitStack() as closing:
            stats = folder / "times"
            log = DecodeLog(self.index, watched=self._joinable and not self.allow_partial and not self.lenient)
            arguments = self._arguments(start, stop, frame_bytes, str(stats))
            child = closing.enter_context(ffmpeg.Child(arguments, stdout=True, keep=log.hear))
            index, previous, clock = start, None, None
            completeness = Completeness(self.info)
            try:
                pieces = _pieces(child, frame_bytes, self.patience_seconds, log.damaged)
                for raw in closing.enter_context(contextlib.closing(pieces)):
                    if stop is not None and index >= stop:
                        return  # filters that were built anew on the way count the span anew
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
                    completeness.add(pts_seconds)
                    previous = pts_seconds
                    index += 1
                self._finish(child, log, start, stop, index)
                if stop is None and not log.size_changed and (doubt := completeness.doubt()) is not None:
                    self.report(Notice(message=f"{self._named()} may not be whole: {doubt}"))
            except (TimeoutError, subprocess.TimeoutExpired):
                raise DecodeError(
                    f"{self._named()}: decoding hangs at frame {index}; "
                    f"nothing came for {self.patience_seconds:g} s, so it was stopped"
                ) from None
            except EOFError:
                self._finish(child, log, start, stop, index, "the last frame came in part only")

    def _check_change(self, log: DecodeLog, start: int, index: int) -> None:
        """Says that the clip ends before frame ``index``, because the size changes there. DecodeError by default."""
        if log.size_changed:
            before = "x".join(map(str, self.stored))
            what = f"{self._named()} changes its size at frame {index}, from {before} to {log.rebuilt_for}"
            if not self.allow_partial or index == start:
                raise DecodeError(
                    f"{what}; --allow-partial takes the frames before; or make it one size: "
                    f"ffmpeg -i INPUT -vf scale={self.info.width}:{self.info.height},setsar=1 OUTPUT"
                )
            self.report(Notice(message=f"{what}; only the {index} frames before can be read"))
        elif log.rebuilt_for is not None and start:  # the filter that cuts the span counts anew
            raise DecodeError(
                f"{self._named()} changes its pixel format or colours on the way, so that a span cannot be counted; "
                "convert it to one format, or read it without --frames"
            )

    def _finish(
        self, child: ffmpeg.Child, log: DecodeLog, start: int, stop: int | None, index: int, why: str = ""
    ) -> None:
        """DecodeError for damage, or a Notice where partial results are allowed; jumps of the stream are said."""
        if log.damaged():
            child.stop()  # a decoder may go on for ever about what it cannot decode
        status, errors = child.wait(self.patience_seconds), child.errors()
        if log.size_changed and stop is not None and index >= stop:
            return  # of what lies beyond the span
        self._check_change(log, start, index)
        if log.size_changed:
            return
        if not why and status == 0 and stop is None and (log.decoded is None or log.decoded > index):
            why = f"{'it gave no count' if log.decoded is None else f'{log.decoded} were decoded'}, {index} delivered"
        said = why or ffmpeg.last_words(errors)
        lost = status != 0 or why or _LOSS.search(errors) is not None or (self.allow_partial and errors != "")
        if lost and not self.allow_partial:
            raise DecodeError(
                f"{self._named()} is damaged or cut short; decoding failed at frame {index}: {said}. "
                "--allow-partial keeps what can be read"
            )
        delivered = index - start
        if delivered == 0:
            raise DecodeError(f"{self._named()}: no frame could be decoded: {said}")
        if lost:
            self.report(Notice(message=f"{self._named()} is damaged; {delivered} frames could be read: {said}"))
            return
        if log.counter_jumps or log.time_jumps:
            jumps = [
                *([f"its packet counter jumps {_times(log.counter_jumps)}"] if log.counter_jumps else []),
                *([f"its time stamps jump {_times(log.time_jumps)}"] if log.time_jumps else []),
            ]
            self.report(
                Notice(
                    message=f"{self._named()} was joined from pieces, or packets were lost: {' and '.join(jumps)}; all "
                    f"{delivered} frames that are there could be decoded, one after the other"
                )
            )

    def _named(self) -> str:
        return ffmpeg.printable(str(self.path))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def open_stream(
    path: Path, demuxer: str, *, track: int | None, allow_partial: bool, patience_seconds: float, report: Report
) -> Stream:
    """Chooses the picture track (see ``tracks.chosen``) and describes it by what the file says of itself and its first
    decoded frame shows.

    InputError: no picture track, none of that number, or a frame beyond MAX_PIXELS. DecodeError: the first frame cannot
    be decoded.
    """
    named = printable(str(path))
    look = _Look(path, demuxer, patience_seconds)
    said = look.at("0:V:0")
    pictures = tracks.tracks(said, "Video")
    if _CONFIG.search(said) is None and not pictures and not tracks.tracks(said, "Audio"):
        raise DecodeError(f"{named}: its index is missing or damaged; the file is cut short: {ffmpeg.last_words(said)}")
    if not pictures:
        raise InputError(f"{named} holds no picture track; give a video, an animation or a still")
    taken = tracks.chosen(path, demuxer, pictures, track, patience_seconds)
    if track is None and len(pictures) > 1:
        report(
            Notice(
                message=f"{named} has {tracks.listed(pictures)}; track {pictures.index(taken)} is read; --track names "
                "another one"
            )
        )
    decoder = _ALPHA_DECODERS.get(taken.codec) if _ALPHA_MODE.search(said) else None
    left_out, lenient = 0, False
    if demuxer in STREAMED:
        left_out, lenient = _left_out(look, path, demuxer, taken, patience_seconds)
    if left_out or lenient:
        report(
            Notice(
                message=f"{named} begins between two keyframes: its first {left_out} packets, of a frame each as a "
                "rule, cannot be decoded and are left out" + (", and what refers to others before it" * lenient)
            )
        )
    if taken is not pictures[0] or decoder is not None or left_out:
        said = look.at(f"0:{taken.index}", decoder, left_out)
    if demuxer == "mjpeg":
        report(Notice(message=f"{named} is a stream of JPEGs without times; 25 frames a second are assumed"))
    info, stored = _described(path, demuxer, said)
    info = dataclasses.replace(info, language=taken.language)
    if (
        demuxer in STREAMED
        and info.audio
        and tracks.times_jump(path, demuxer, taken.index, patience_seconds=patience_seconds)
    ):
        report(
            Notice(
                message=f"{named} was joined from pieces with times of their own, so its sound is left out; to keep "
                "it, join the times first: ffmpeg -i INPUT -c copy OUTPUT.mkv"
            )
        )
        info = dataclasses.replace(info, audio=())
    what = tone.kind(info.colour)
    filters = tone.to_sdr(named, info.colour)
    if filters:
        if info.alpha:
            raise InputError(f"{named} is {what} with alpha, which is not converted here; convert it to BT.709")
        report(Notice(message=f"{named} is {what}; its frames are converted to SDR in BT.709, and so is the result"))
        info = dataclasses.replace(info, colour=tone.SDR_COLOUR)
    return Stream(
        path=path,
        demuxer=demuxer,
        index=taken.index,
        info=info,
        stored=stored,
        decoder=decoder,
        tone=tuple(filters),
        left_out=left_out,
        lenient=lenient,
        allow_partial=allow_partial,
        patience_seconds=patience_seconds,
        report=report,
    )


@dataclass(frozen=True)
class _Look:
    """Lets ffmpeg describe a file and decode the first frames of a track."""

    path: Path
    demuxer: str
    timeout_seconds: float

    def at(self, track: str, decoder: str | None = None, left_out: int = 0) -> str:
        """What ffmpeg says. DecodeError where it hangs."""
        given = ffmpeg.input_arguments(self.path, self.demuxer, decoder, left_out)
        see = ["-map", track, "-vf", "showinfo", "-frames:v", "1", "-f", "null", os.devnull]
        status, said = ffmpeg.run(["-v", "info", "-copyts", *given, *see], self.timeout_seconds)
        if status is None:
            raise DecodeError(
                f"{printable(str(self.path))}: decoding hangs at the first frame; "
                f"stopped after {self.timeout_seconds:g} s"
            )
        return said

    def decodes_from(self, track: int, left_out: int) -> bool:
        """Whether the frames from this packet on can be decoded, as far as the first few of them show."""
        given = ffmpeg.input_arguments(self.path, self.demuxer, None, left_out)
        see = ["-map", f"0:{track}", "-frames:v", "8", "-f", "null", os.devnull]
        strict = ["-v", "error", "-xerror", "-err_detect", "explode"]
        status, said = ffmpeg.run([*strict, *given, *see], self.timeout_seconds)
        joined = "corrupt input packet" in said and "[dec:" not in said  # it read on to where pieces were joined
        return status == 0 or joined


def _left_out(look: _Look, path: Path, demuxer: str, track: tracks.Track, patience_seconds: float) -> tuple[int, bool]:
    """Packets before the first keyframe from which on the track can be decoded, 0 where it begins with one; and whether
    decoding begins with errors, as it does where all keyframes refer to what was before them."""
    (opening,) = tracks.packets(
        path, demuxer, [track.index], patience_seconds=patience_seconds, most=tracks.OPENING_PACKETS
    )
    tried = opening.keyframes[:4]
    if not tried:
        return 0, False
    sound = next((packet for packet in tried if look.decodes_from(track.index, packet)), None)
    if sound is None:
        return tried[0], len(tried) > 1
    return (0 if tried[0] == 0 else sound), False


def _described(path: Path, demuxer: str, said: str) -> tuple[ClipInfo, tuple[int, int]]:
    """The clip by what ffmpeg said of it and its first frame, and the size of that before its aspect is applied."""
    named = printable(str(path))
    config, frame, colour = _CONFIG.search(said), _FRAME.search(said), _COLOUR.search(said)
    if config is None or frame is None:
        raise DecodeError(f"{named}: the first frame cannot be decoded: {ffmpeg.last_words(said)}")
    if _DOLBY_VISION_5.search(said):
        raise InputError(
            f"{named} is Dolby Vision of profile 5, whose colours ffmpeg cannot convert; convert it to SDR"
        )
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
            AudioTrack(codec=track.codec, description=printable(track.description))
            for track in tracks.tracks(said, "Audio")
        ),
        subtitles=tuple(
            SubtitleTrack(codec=track.codec, description=printable(track.description))
            for track in tracks.tracks(said, "Subtitle")
        ),
        alpha=_ALPHA_FORMAT.search(frame[2]) is not None,
        colour=_colour(colour),
        time_base=time_base,
        container_start_seconds=Fraction(stated[4]) if stated and stated[4] else Fraction(0),
        first_pts_seconds=int(frame[1]) * time_base,
    )
    return info, (stored_width, height)


def _check_colour(named: str, colour: Colour) -> None:
    """InputError for colours that ffmpeg cannot make RGB of."""
    if colour.matrix is not None and colour.matrix not in ("gbr", *MATRICES):
        raise InputError(
            f"{named}: its colour matrix is {printable(colour.matrix)}; accepted are {', '.join(MATRICES)}: convert it"
        )
    if colour.transfer in ("log100", "log316"):
        raise InputError(f"{named}: its transfer is {colour.transfer}, which no picture here can keep; convert it")


def _pieces(
    child: ffmpeg.Child, size: int, patience_seconds: float, damaged: Callable[[], bool]
) -> Generator[bytes, None, None]:
    """What the child writes in pieces of ``size`` bytes, until it ends or is ``damaged``. TimeoutError when nothing
    comes, EOFError when it ends within a piece."""
    pipe = child.process.stdout
    assert pipe is not None
    pieces: queue.Queue[bytes] = queue.Queue(maxsize=2)
    left = threading.Event()

    def pump() -> None:
        with pipe:
            while not left.is_set():
                piece = bytearray()
                while len(piece) < size and (part := pipe.read(size - len(piece))):
                    piece += part
                pieces.put(bytes(piece))
                if len(piece) < size:
                    return

    threading.Thread(target=pump, daemon=True).start()
    try:
        while True:
            piece = _next(pieces, child, patience_seconds, damaged)
            if piece is None or not piece:
                return
            if len(piece) < size:
                raise EOFError
            yield piece
    finally:
        left.set()
        while not pieces.empty():
            pieces.get_nowait()


def _next(
    pieces: "queue.Queue[bytes]", child: ffmpeg.Child, patience_seconds: float, damaged: Callable[[], bool]
) -> bytes | None:
    """The next piece; None once no more is to come. TimeoutError when nothing comes."""
    until = time.monotonic() + patience_seconds
    while True:
        try:
            return pieces.get(timeout=min(0.1, max(0.0, until - time.monotonic())))
        except queue.Empty:
            if damaged():
                return None
            if child.ended():  # what is in the pipe comes at once, its end too, unless a stranger holds it
                with contextlib.suppress(queue.Empty):
                    return pieces.get(timeout=ffmpeg.REAP_SECONDS)
                return None
            if time.monotonic() >= until:
                raise TimeoutError from None


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
