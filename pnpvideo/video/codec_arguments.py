"""ffmpeg's options for the tracks of an output: pictures, sound and subtitles."""

from collections.abc import Sequence

from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import Colour
from pnpvideo.video.formats import TEXT_SUBTITLES, UNREADABLE, Format

MATRICES = {
    "bt709": "bt709",
    "fcc": "fcc",
    "bt470bg": "bt470",
    "smpte170m": "smpte170m",
    "smpte240m": "smpte240m",
    "bt2020nc": "bt2020",
}
"""Colour matrices in ffmpeg's names, and the scale filter's names for those that it can convert."""
_GIF_FILTERS = (
    "split[frame][seen];[seen]palettegen=stats_mode=single:reserve_transparent={alpha}[palette];"
    "[frame][palette]paletteuse=new=1:alpha_threshold=128:dither=sierra2_4a"
)


def picture_arguments(
    form: Format, width: int, height: int, alpha: bool, colour: Colour, track_ticks: int
) -> list[str]:
    """Options from raw RGB or RGBA frames to the encoded track.

    Video is 8-bit 4:2:0, tagged with the colour tags of the source, or with BT.709 if it has none. H.264 cannot store
    an odd width or height in 4:2:0; such pictures are encoded in 4:4:4, at their exact size.
    width, height: in pixels. track_ticks: clock ticks per second of an MP4 or MOV track.
    """
    encoder = form.alpha_encoder if alpha else form.encoder
    if form.muxer == "gif":
        return ["-filter_complex", _GIF_FILTERS.format(alpha=int(alpha)), *encoder]
    if form.muxer == "apng":
        return [*encoder, "-pix_fmt", "rgba" if alpha else "rgb24"]
    name = encoder[1]
    if name == "prores_ks":
        layout = "yuva444p10le"
    elif name == "libvpx-vp9":
        layout = "yuva420p" if alpha else "yuv420p"
    else:
        layout = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    matrix, primaries, transfer = _output_tags(colour)
    convert = (
        f"scale=flags=bicubic+accurate_rnd+full_chroma_int:out_color_matrix={MATRICES[matrix]}:out_range=tv,format={layout},"
        f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range=tv"
    )
    arguments = ["-vf", convert, *encoder, "-pix_fmt", layout]
    if form.muxer in ("mp4", "mov"):
        arguments += ["-video_track_timescale", str(track_ticks), "-movflags", "+faststart+write_colr"]
    return arguments


def _output_tags(colour: Colour) -> tuple[str, str, str]:
    """Matrix, primaries and transfer to encode with. A matrix that no linear mix of RGB gives becomes BT.709."""
    if colour.matrix not in MATRICES:
        return "bt709", colour.primaries or "bt709", colour.transfer or "bt709"
    return colour.matrix, colour.primaries or "unknown", colour.transfer or "unknown"


def missing_encoders(form: Format, alpha: bool, audio: Sequence[str]) -> list[str]:
    """Encoders that the output needs and this ffmpeg lacks. audio: the codecs of the source's sound tracks."""
    if form.route != "ffmpeg":
        return []
    needed = {(form.alpha_encoder if alpha and form.alpha else form.encoder)[1]}
    if form.transcode and any(codec not in form.audio for codec in audio if codec != UNREADABLE):
        needed.add(form.transcode[0])
    return sorted(needed - ffmpeg.encoders())


def audio_arguments(form: Format, audio: Sequence[str]) -> list[str]:
    """Options for the sound tracks of ffmpeg's second input, by their codecs: copy them, or transcode them.

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
            arguments += [f"-c:a:{number}", *form.transcode[:1], *_for_track(form.transcode[1:], number)]
            if form.transcode[0] == "libopus":  # it takes these layouts only
                arguments += [f"-filter:a:{number}", "aformat=channel_layouts=7.1|5.1|stereo|mono"]
    return arguments


def subtitle_encoders(form: Format, codecs: Sequence[str], span: bool) -> list[str | None]:
    """For each subtitle track: "copy", the encoder that converts it, or None if the output does not include it.

    codecs: of the source's subtitle tracks, in ffmpeg's names. span: whether only a span of the source is written,
    which keeps no subtitles. Text is converted to the container's own kind; pictures can only be copied.
    """

    def encoder(codec: str) -> str | None:
        if span:
            return None
        if codec in form.subtitles:
            return "copy"
        needed = form.subtitle_encoder if codec in TEXT_SUBTITLES else ""
        return needed if needed and needed in ffmpeg.encoders() else None

    return [encoder(codec) for codec in codecs]


def subtitle_arguments(encoders: Sequence[str | None]) -> list[str]:
    """Options for the subtitle tracks of ffmpeg's second input, as ``subtitle_encoders`` chose."""
    arguments, number = [], 0
    for index, encoder in enumerate(encoders):
        if encoder is not None:
            arguments += ["-map", f"1:s:{index}", f"-c:s:{number}", encoder]
            number += 1
    return arguments


def _for_track(options: Sequence[str], number: int) -> list[str]:
    """Restrict options to one track: "-b:a" becomes "-b:a:1"."""
    return [f"{option}:{number}" if option.startswith("-") else option for option in options]
