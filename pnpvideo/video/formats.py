"""The formats that can be written: one table by extension, with encoder, container, sound, subtitles and limits."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import OutputError, printable
from pnpvideo.video.clip import MAX_PIXELS

_H264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "16")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "22", "-b:v", "0", "-cpu-used", "4", "-row-mt", "1")
_PRORES = ("-c:v", "prores_ks", "-profile:v", "4444", "-vendor", "apl0", "-alpha_bits", "16")


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one kind of output is written."""

    route: str
    """What writes it: "ffmpeg" (one process), "webp" (our own container), "still", or "folder"."""
    muxer: str = ""
    """ffmpeg's name for the container; Pillow's name for the format of a still."""
    alpha: bool = False
    """Whether it can have a fourth channel."""
    encoder: tuple[str, ...] = ()
    """ffmpeg options for opaque pictures."""
    alpha_encoder: tuple[str, ...] = ()
    """ffmpeg options for transparent pictures."""
    audio: frozenset[str] = frozenset()
    """Sound codecs that are copied unchanged; empty if the container has no sound."""
    transcode: tuple[str, ...] = ()
    """ffmpeg options for sound in all other codecs."""
    subtitles: frozenset[str] = frozenset()
    """Subtitle codecs that are copied unchanged."""
    subtitle_encoder: str = ""
    """Encoder for all other subtitles that are text."""
    tick_seconds: Fraction | None = None
    """Resolution of the container's clock; None: that of the clip."""
    shortest_seconds: Fraction | None = None
    """Viewers show a frame of a shorter duration for longer than it says; None: there is no such limit."""
    longest_side: int = 16384
    """Largest width or height in pixels that the encoder takes."""

    @property
    def single(self) -> bool:
        """Whether it holds a single picture."""
        return self.route == "still"


PICTURES = (".png", ".jpg", ".jpeg", ".webp")
"""Extensions of single pictures that are no translations: sheets, plots, previews."""

_AAC = ("aac", "-b:a", "192k")
_OPUS = ("libopus", "-b:a", "160k")
_MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
_PCM = frozenset({f"pcm_{kind}" for kind in ("s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be")})
_MATROSKA_AUDIO = (
    _MP4_AUDIO
    | _PCM - {"pcm_f32be"}
    | frozenset({"mp1", "mp2", "dts", "truehd", "mlp", "vorbis", "wavpack", "tta", "pcm_u8", "pcm_f64le"})
)
TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})
"""Subtitle codecs that are text, in ffmpeg's names; all others are pictures."""
_MATROSKA_SUBTITLES = frozenset(
    {"subrip", "srt", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
)
_MILLISECOND = Fraction(1, 1000)
GIF_SHORTEST_SECONDS = Fraction(1, 50)
"""Viewers show a frame of a GIF with a shorter delay for a tenth of a second."""
UNREADABLE = "none"
"""ffmpeg's name for a codec that it does not know."""
LOWEST_MP3_HZ = 16000
"""ffmpeg writes no MP3 of fewer samples a second into MP4."""

_MP4 = Format(
    route="ffmpeg",
    muxer="mp4",
    encoder=_H264,
    audio=_MP4_AUDIO,
    transcode=_AAC,
    subtitles=frozenset({"mov_text"}),
    subtitle_encoder="mov_text",
)
FORMATS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Format(
        route="ffmpeg",
        muxer="mov",
        alpha=True,
        encoder=_H264,
        alpha_encoder=_PRORES,
        audio=_PCM | {"aac", "mp3", "ac3", "eac3", "alac"},
        transcode=_AAC,
        subtitles=frozenset({"mov_text"}),
        subtitle_encoder="mov_text",
    ),
    ".mkv": Format(
        route="ffmpeg",
        muxer="matroska",
        alpha=True,
        encoder=_H264,
        alpha_encoder=_VP9,
        audio=_MATROSKA_AUDIO,
        transcode=("flac",),
        subtitles=_MATROSKA_SUBTITLES,
        subtitle_encoder="srt",
        tick_seconds=_MILLISECOND,
    ),
    ".webm": Format(
        route="ffmpeg",
        muxer="webm",
        alpha=True,
        encoder=_VP9,
        alpha_encoder=_VP9,
        audio=frozenset({"opus", "vorbis"}),
        transcode=_OPUS,
        subtitles=frozenset({"webvtt"}),
        subtitle_encoder="webvtt",
        tick_seconds=_MILLISECOND,
    ),
    ".gif": Format(
        route="ffmpeg",
        muxer="gif",
        alpha=True,
        encoder=("-c:v", "gif"),
        alpha_encoder=("-c:v", "gif"),
        tick_seconds=Fraction(1, 100),
        shortest_seconds=GIF_SHORTEST_SECONDS,
        longest_side=65535,
    ),
    ".apng": Format(
        route="ffmpeg",
        muxer="apng",
        alpha=True,
        encoder=("-c:v", "apng", "-pred", "mixed"),
        alpha_encoder=("-c:v", "apng", "-pred", "mixed"),
    ),
    ".webp": Format(route="webp", alpha=True, tick_seconds=_MILLISECOND, longest_side=16383),
    ".png": Format(route="still", muxer="PNG", alpha=True, longest_side=MAX_PIXELS),
    ".jpg": Format(route="still", muxer="JPEG", longest_side=65500),
    ".jpeg": Format(route="still", muxer="JPEG", longest_side=65500),
    "": Format(route="folder", alpha=True, longest_side=MAX_PIXELS),
}


def format_of(path: Path) -> Format:
    """The format by the path's extension; without one, a folder of PNGs. Raises OutputError for unknown extensions."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(sorted(suffix for suffix in FORMATS if suffix))
        raise OutputError(
            f"{printable(str(path))}: cannot write {printable(suffix)}; accepted are {known}, "
            "or a name without an extension for a folder of frames"
        )
    return FORMATS[suffix]
