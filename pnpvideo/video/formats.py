"""What each output is made of, by its extension: encoder, container, what sound and alpha it carries."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import OutputError
from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import MAX_PIXELS, Colour
from pnpvideo.video.ffmpeg import printable

BACKGROUND = (255, 255, 255)  # RGB that shows through where an output cannot carry alpha: paper

_H264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "16")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "22", "-b:v", "0", "-cpu-used", "4", "-row-mt", "1")
_PRORES = ("-c:v", "prores_ks", "-profile:v", "4444", "-vendor", "apl0", "-alpha_bits", "16")
_GIF = (
    "split[frame][seen];[seen]palettegen=stats_mode=single:reserve_transparent={alpha}[palette];"
    "[frame][palette]paletteuse=new=1:alpha_threshold=128:dither=sierra2_4a"
)


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one kind of output is written.

    route: "ffmpeg" (one encoding process), "webp" (our own container), "still", or "folder".
    muxer: ffmpeg's name for the container. alpha: carries a fourth channel.
    encoder, alpha_encoder: ffmpeg options of opaque and of transparent pictures.
    audio: codecs that are copied as they are, none where the container has no sound.
    transcode: ffmpeg options for the other codecs.
    subtitles: subtitle codecs that are copied as they are. subtitle_encoder: for other subtitles that are text.
    tick_seconds: the resolution of the container's clock, None where it is the clip's own.
    shortest_seconds: frames that are shown for less are shown for longer by viewers; None: no such limit.
    longest_side: pixels that the encoder takes.
    """

    route: str
    muxer: str = ""
    alpha: bool = False
    encoder: tuple[str, ...] = ()
    alpha_encoder: tuple[str, ...] = ()
    audio: frozenset[str] = frozenset()
    transcode: tuple[str, ...] = ()
    subtitles: frozenset[str] = frozenset()
    subtitle_encoder: str = ""
    tick_seconds: Fraction | None = None
    shortest_seconds: Fraction | None = None
    longest_side: int = 16384

    @property
    def single(self) -> bool:
        return self.route == "still"


_AAC = ("aac", "-b:a", "192k")
_OPUS = ("libopus", "-b:a", "160k")
_MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
_PCM = frozenset({f"pcm_{kind}" for kind in ("s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be")})
_MATROSKA_AUDIO = (
    _MP4_AUDIO
    | _PCM
    | frozenset({"mp1", "mp2", "dts", "truehd", "mlp", "vorbis", "wavpack", "tta", "pcm_u8", "pcm_f64le"})
)
_TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})
_MATROSKA_SUBTITLES = frozenset(
    {"subrip", "srt", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
)
_MILLISECOND = Fraction(1, 1000)
GIF_SHORTEST_SECONDS = Fraction(1, 50)  # a shorter delay is shown as a tenth of a second
UNREADABLE = "none"  # ffmpeg's name for a codec that it does not know

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
    """By extension; a name without one is a folder of PNGs. OutputError: an extension that is not known."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(sorted(suffix for suffix in FORMATS if suffix))
        raise OutputError(
            f"{printable(str(path))}: cannot write {printable(suffix)}; accepted are {known}, "
            "or a name without an extension for a folder of frames"
        )
    return FORMATS[suffix]


def picture_arguments(
    form: Format, width: int, height: int, alpha: bool, colour: Colour, track_ticks: int
) -> list[str]:
    """ffmpeg's options from raw RGB(A) to the encoded track.

    Video is 8 bits 4:2:0, tagged with the source's own colour tags, or BT.709 where it has none. H.264 cannot hold
    an odd width or height in 4:2:0: such a picture is encoded in 4:4:4, at its exact size.
    """
    encoder = form.alpha_encoder if alpha else form.encoder
    if form.muxer == "gif":
        return ["-filter_complex", _GIF.format(alpha=int(alpha)), *encoder]
    if form.muxer == "apng":
        return [*encoder, "-pix_fmt", "rgba" if alpha else "rgb24"]
    name = encoder[1]
    if name == "prores_ks":
        layout = "yuva444p10le"
    elif name == "libvpx-vp9":
        layout = "yuva420p" if alpha else "yuv420p"
    else:
        layout = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    matrix, primaries, transfer = _tags(colour)
    convert = (
        f"scale=flags=bicubic+accurate_rnd+full_chroma_int:out_color_matrix={MATRICES[matrix]}:out_range=tv,format={layout},"
        f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range=tv"
    )
    arguments = ["-vf", convert, *encoder, "-pix_fmt", layout]
    if form.muxer in ("mp4", "mov"):
        arguments += ["-video_track_timescale", str(track_ticks), "-movflags", "+faststart+write_colr"]
    return arguments


# The scale filter's names for the matrices that it knows.
MATRICES = {
    "bt709": "bt709",
    "fcc": "fcc",
    "bt470bg": "bt470",
    "smpte170m": "smpte170m",
    "smpte240m": "smpte240m",
    "bt2020nc": "bt2020",
}


def _tags(colour: Colour) -> tuple[str, str, str]:
    """Matrix, primaries and transfer to encode with. Matrices for which RGB is no linear mix become BT.709."""
    if colour.matrix not in MATRICES:
        return "bt709", colour.primaries or "bt709", colour.transfer or "bt709"
    return colour.matrix, colour.primaries or "unknown", colour.transfer or "unknown"


def missing_encoders(form: Format, alpha: bool, audio: Sequence[str]) -> list[str]:
    """Encoders that the output needs and this ffmpeg lacks; ``audio``: the codecs of the source's sound tracks."""
    if form.route != "ffmpeg":
        return []
    needed = {(form.alpha_encoder if alpha and form.alpha else form.encoder)[1]}
    if form.transcode and any(codec not in form.audio for codec in audio if codec != UNREADABLE):
        needed.add(form.transcode[0])
    return sorted(needed - ffmpeg.encoders())


def audio_arguments(form: Format, audio: Sequence[str]) -> list[str]:
    """ffmpeg's options for the sound tracks of the second input: copied, or transcoded where the container asks.

    Tracks in a codec that ffmpeg does not know are left out.
    """
    if not form.audio:
        return []
    arguments, readable = [], [index for index, codec in enumerate(audio) if codec != UNREADABLE]
    for number, index in enumerate(readable):
        arguments += ["-map", f"1:a:{index}"]
        codec = audio[index]
        if codec in form.audio:
            arguments += [f"-c:a:{number}", "copy"]
        else:
            arguments += [f"-c:a:{number}", *form.transcode[:1], *_numbered(form.transcode[1:], number)]
            if form.transcode[0] == "libopus":  # it takes these layouts only
                arguments += [f"-filter:a:{number}", "aformat=channel_layouts=7.1|5.1|stereo|mono"]
    return arguments


def subtitle_encoders(form: Format, codecs: Sequence[str], span: bool) -> list[str | None]:
    """For each subtitle track of the source: "copy", the encoder that converts it, or None where it is left out.

    codecs: in ffmpeg's names. span: whether only a span of the source is written, which keeps no subtitles. Subtitles
    that are text are converted into the container's own kind; pictures are copied where the container holds them.
    """

    def encoder(codec: str) -> str | None:
        if span:
            return None
        if codec in form.subtitles:
            return "copy"
        wanted = form.subtitle_encoder if codec in _TEXT_SUBTITLES else ""
        return wanted if wanted and wanted in ffmpeg.encoders() else None

    return [encoder(codec) for codec in codecs]


def subtitle_arguments(encoders: Sequence[str | None]) -> list[str]:
    """ffmpeg's options for the subtitle tracks of the second input, by ``subtitle_encoders``."""
    arguments, number = [], 0
    for index, encoder in enumerate(encoders):
        if encoder is not None:
            arguments += ["-map", f"1:s:{index}", f"-c:s:{number}", encoder]
            number += 1
    return arguments


def _numbered(options: Sequence[str], number: int) -> list[str]:
    return [f"{option}:{number}" if option.startswith("-") else option for option in options]
