"""ffmpeg's options for the tracks of an output: pictures, sound and subtitles."""

import re
from collections.abc import Sequence

from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import AudioTrack, Colour
from pnpvideo.video.formats import LOWEST_MP3_HZ, TEXT_SUBTITLES, Format

MATRICES = {
    "bt709": "bt709",
    "fcc": "fcc",
    "bt470bg": "bt470",
    "smpte170m": "smpte170m",
    "smpte240m": "smpte240m",
    "bt2020nc": "bt2020",
}
"""Colour matrices in ffmpeg's names, and the scale filter's names for those that it can convert."""
_WIDE_LAYOUT = re.compile(r"\d+\.\d\.\d|cube|hexadecagonal|22\.2|\d+ channels \(.+\)")
"""Layouts of channels, in ffmpeg's names, that the encoders of AAC or FLAC do not take."""
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
    if encoder[1] == "prores_ks":
        layout = "yuva444p10le"
    elif encoder[1] == "libvpx-vp9":
        layout = "yuva420p" if alpha else "yuv420p"
    else:
        layout = "yuv444p" if has_whole_chroma(form, width, height, alpha) else "yuv420p"
    matrix, primaries, transfer = _output_tags(colour)
    convert = (
        f"scale=flags=bicubic+accurate_rnd+full_chroma_int:out_color_matrix={MATRICES[matrix]}:out_range=tv,format={layout},"
        f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range=tv"
    )
    arguments = ["-vf", convert, *encoder, "-pix_fmt", layout]
    if form.muxer in ("mp4", "mov"):
        arguments += ["-video_track_timescale", str(track_ticks), "-movflags", "+faststart+write_colr"]
    return arguments


def has_whole_chroma(form: Format, width: int, height: int, alpha: bool) -> bool:
    """Whether a track of this size becomes H.264 in 4:4:4, which most hardware and many players do not decode."""
    encoder = form.alpha_encoder if alpha and form.alpha else form.encoder
    return encoder[1:2] == ("libx264",) and (width % 2 == 1 or height % 2 == 1)


def _output_tags(colour: Colour) -> tuple[str, str, str]:
    """Matrix, primaries and transfer to encode with. A matrix that no linear mix of RGB gives becomes BT.709."""
    if colour.matrix not in MATRICES:
        return "bt709", colour.primaries or "bt709", colour.transfer or "bt709"
    return colour.matrix, colour.primaries or "unknown", colour.transfer or "unknown"


def missing_encoders(form: Format, alpha: bool, audio: Sequence[AudioTrack]) -> list[str]:
    """Encoders that the output needs and this ffmpeg lacks. audio: the source's sound tracks."""
    if form.route != "ffmpeg":
        return []
    needed = {(form.alpha_encoder if alpha and form.alpha else form.encoder)[1]}
    needed.update(encoder for encoder in sound_encoders(form, audio) if encoder not in ("copy", None))
    return sorted(needed - ffmpeg.encoders())


def sound_encoders(form: Format, audio: Sequence[AudioTrack]) -> list[str | None]:
    """For each sound track: "copy", the encoder that transcodes it, or None if the output does not include it.

    That is a track that the container cannot hold as it is, and whose codec ffmpeg cannot decode or does not know.
    """

    def encoder(track: AudioTrack) -> str | None:
        if not form.audio:
            return None
        slow_mp3 = track.codec == "mp3" and (track.rate_hz or LOWEST_MP3_HZ) < LOWEST_MP3_HZ
        if track.codec in form.audio and not (slow_mp3 and form.muxer == "mp4"):
            return "copy"
        return form.transcode[0] if track.codec in ffmpeg.decodable_codecs() else None

    return [encoder(track) for track in audio]


def audio_arguments(form: Format, audio: Sequence[AudioTrack]) -> list[str]:
    """Options for the sound tracks of ffmpeg's second input, as ``sound_encoders`` chose."""
    arguments, number = [], 0
    for index, encoder in enumerate(sound_encoders(form, audio)):
        if encoder is None:
            continue
        arguments += ["-map", f"1:a:{index}", f"-c:a:{number}", encoder]
        if encoder != "copy":
            layout = _layout_filter(encoder, audio[index].layout)
            arguments += [*_for_track(form.transcode[1:], number), *([f"-filter:a:{number}", layout] if layout else [])]
        number += 1
    return arguments


def _layout_filter(encoder: str, layout: str) -> str:
    """The filter that mixes the channels into a layout that the encoder takes; empty if it takes them as they are.

    Channels that nothing places anywhere, as in "9 channels", alternate between left and right.
    """
    if (found := re.fullmatch(r"(\d+) channels", layout)) is not None:
        left, right = ("+".join(f"c{n}" for n in range(side, int(found[1]), 2)) for side in (0, 1))
        return f"pan=stereo|c0<{left}|c1<{right}" if right else f"pan=mono|c0={left}"
    if encoder == "libopus" or _WIDE_LAYOUT.fullmatch(layout):
        return "aformat=channel_layouts=7.1|5.1|stereo|mono"
    return ""


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
