"""Samples: a file of each container, codec and pixel layout, all of the same three pictures."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pnpvideo.video.ffmpeg import executable

WIDTH, HEIGHT = 48, 32
OPAQUE = 32  # the first column that is opaque
TIMES = (Fraction(0), Fraction(40, 1000), Fraction(120, 1000))
"""Of the pictures, in seconds: at a varying rate, on every container's clock."""
EVEN = (Fraction(0), Fraction(40, 1000), Fraction(80, 1000))
"""Where the container or the codec has one rate only."""


def pictures() -> list[np.ndarray]:
    """(h, w, 4) uint8: smooth colours, other ones in each; a third is transparent, a third half so."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    made = []
    for n in range(len(TIMES)):
        alpha = np.select([columns < WIDTH // 3, columns < OPAQUE], [0, 128], 255)
        made.append(np.stack([40 + 4 * rows, 60 + 3 * columns, np.full_like(rows, 60 * n + 40), alpha], -1))
    return [picture.astype(np.uint8) for picture in made]


@dataclass(frozen=True, kw_only=True)
class Video:
    """options: ffmpeg's for the pictures. sound, subtitles: likewise, empty where the sample has none.

    even: the sample has one rate. also: extensions of the same container, beside the sample's own.
    """

    container: str
    name: str
    codec: str
    options: tuple[str, ...]
    sound: tuple[str, ...] = ()
    subtitles: tuple[str, ...] = ()
    even: bool = False
    also: tuple[str, ...] = ()

    @property
    def extensions(self) -> tuple[str, ...]:
        return (Path(self.name).suffix, *self.also)


def _video(container: str, name: str, codec: str, encoder: tuple[str, ...], sound: str = "", **more: Any) -> Video:
    """codec ends in ffmpeg's name for the layout of pixels, which is asked for."""
    options = (*encoder, "-pix_fmt", codec.split(", ")[1])
    return Video(
        container=container, name=name, codec=codec, options=options, sound=("-c:a", sound) if sound else (), **more
    )


_X264 = ("-c:v", "libx264", "-preset", "fast", "-crf", "8")
_X265 = ("-c:v", "libx265", "-x265-params", "log-level=none:crf=8")
_AV1 = ("-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "10")
_VP8 = ("-c:v", "libvpx", "-auto-alt-ref", "0", "-crf", "4", "-b:v", "4M")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "10", "-b:v", "0", "-cpu-used", "8")
_PRORES = ("-c:v", "prores_ks", "-profile:v", "4444")
_MPEG2, _MPEG4, _MJPEG, _THEORA = (
    ("-c:v", name, "-q:v", quality)
    for name, quality in (("mpeg2video", "2"), ("mpeg4", "2"), ("mjpeg", "2"), ("libtheora", "10"))
)
_WMV = ("-c:v", "wmv2", "-q:v", "2")
_QTRLE, _FFV1, _HUFFYUV = (("-c:v", name) for name in ("qtrle", "ffv1", "huffyuv"))
_M2TS = ("-mpegts_m2ts_mode", "1")

VIDEOS = (
    _video("MP4", "420.mp4", "H.264, yuv420p", _X264, "aac", subtitles=("-c:s", "mov_text")),
    _video("MP4", "444.mp4", "H.264, yuv444p", _X264, "ac3"),
    _video("MP4", "10.m4v", "H.264, yuv420p10le", _X264, "alac"),
    _video("MP4", "grey.mp4", "H.264, gray", _X264),
    _video("MP4", "hevc.mp4", "HEVC, yuv420p", _X265),
    _video("MP4", "av1.mp4", "AV1, yuv420p", _AV1),
    _video("3GP", "mpeg4.3gp", "MPEG-4, yuv420p", _MPEG4, "aac"),
    _video("MOV", "prores.mov", "ProRes 4444, yuva444p10le", _PRORES, "pcm_s16le", also=(".qt",)),
    _video("MOV", "animation.mov", "QuickTime Animation, argb", _QTRLE),
    _video("MOV", "mjpeg.mov", "Motion JPEG, yuvj422p", _MJPEG),
    _video("Matroska", "h264.mkv", "H.264, yuv420p", _X264, "flac", subtitles=("-c:s", "srt")),
    _video("Matroska", "ffv1.mkv", "FFV1, bgra", _FFV1, "pcm_s16le"),
    _video("Matroska", "wide.mkv", "FFV1, gbrp16le", _FFV1),
    _video("WebM", "vp9.webm", "VP9, yuva420p", _VP9, "libopus", subtitles=("-c:s", "webvtt")),
    _video("WebM", "vp9-444.webm", "VP9, yuv444p", _VP9),
    _video("WebM", "vp9-10.webm", "VP9, yuv420p10le", _VP9),
    _video("WebM", "vp8.webm", "VP8, yuva420p", _VP8, "libvorbis"),
    _video("AVI", "mpeg4.avi", "MPEG-4, yuv420p", _MPEG4, "pcm_s16le", even=True),
    _video("AVI", "huffyuv.avi", "HuffYUV, rgb24", _HUFFYUV, even=True),
    _video("MPEG-TS", "h264.ts", "H.264, yuv420p", _X264, "aac"),
    _video("MPEG-TS", "mpeg2.m2ts", "MPEG-2, yuv420p", (*_MPEG2, *_M2TS), "mp2", even=True, also=(".mts",)),
    _video("MPEG-PS", "mpeg2.mpg", "MPEG-2, yuv420p", _MPEG2, "mp2", even=True, also=(".mpeg", ".vob")),
    _video("FLV", "h264.flv", "H.264, yuv420p", _X264, "aac"),
    _video("WMV", "wmv2.wmv", "WMV 8, yuv420p", _WMV, "wmav2", even=True, also=(".asf",)),
    _video("MJPEG", "stream.mjpeg", "Motion JPEG, yuvj420p", _MJPEG, even=True, also=(".mjpg",)),
    _video("Ogg", "theora.ogv", "Theora, yuv420p", _THEORA, "libvorbis", even=True, also=(".ogg",)),
)

SOUNDS = ("aac", "ac3", "alac", "flac", "libmp3lame", "mp2", "libopus", "libvorbis", "pcm_s16le", "wmav2")


def make_video(video: Video, folder: Path) -> Path:
    inputs: list[tuple[str, ...]] = [("-i", str(_animation(EVEN if video.even else TIMES, folder)))]
    inputs += [("-f", "lavfi", "-i", "sine=d=0.2")] if video.sound else []
    inputs += [("-i", str(_words(folder)))] if video.subtitles else []
    rate = ("-r", "25") if video.even else ("-fps_mode", "passthrough", "-enc_time_base", "1:1000")
    return _encoded(inputs, (*rate, *video.options, *video.sound, *video.subtitles), folder / video.name)


def make_sounding(folder: Path) -> Path:
    """A Matroska clip with subtitles and a sound track of each of SOUNDS."""
    inputs: list[tuple[str, ...]] = [("-i", str(_animation(TIMES, folder))), ("-i", str(_words(folder)))]
    inputs += [("-f", "lavfi", "-i", "sine=d=0.2:r=48000")] * len(SOUNDS)
    sound = (option for n, name in enumerate(SOUNDS) for option in (f"-c:a:{n}", name))
    return _encoded(inputs, (*_X264, "-pix_fmt", "yuv420p", *sound, "-c:s", "srt"), folder / "sounding.mkv")


def _encoded(inputs: Sequence[tuple[str, ...]], options: tuple[str, ...], path: Path) -> Path:
    given = [part for each in inputs for part in each]
    maps = [part for n in range(len(inputs)) for part in ("-map", str(n))]
    command = [executable(), "-v", "error", "-nostdin", "-y", *given, *maps, *options, f"file:{path}"]
    subprocess.run(command, check=True)
    return path


def _animation(times: tuple[Fraction, ...], folder: Path) -> Path:
    """The pictures as an APNG, written by Pillow."""
    path = folder / f"pictures-{int(1000 * times[-1])}.apng"
    ends = (*times[1:], times[-1] + Fraction(1, 25))
    shown = [int(1000 * (end - at)) for at, end in zip(times, ends, strict=True)]
    first, *rest = (Image.fromarray(picture) for picture in pictures())
    first.save(path, save_all=True, append_images=rest, duration=shown)
    return path


def _words(folder: Path) -> Path:
    path = folder / "words.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:00,100\nhello\n", "utf-8")
    return path


@dataclass(frozen=True)
class Picture:
    """save: Pillow's options. mode: Pillow's, of what is saved. animated: of all pictures, with their delays."""

    form: str
    name: str
    layout: str
    mode: str
    save: dict[str, Any] = field(default_factory=dict)
    animated: bool = False
    by_ffmpeg: tuple[str, ...] = ()

    @property
    def plays(self) -> int:
        """How often an animation does, 0 for ever; a GIF states how often it is repeated."""
        stated = int(self.save.get("loop", 0))
        return stated + (self.form == "GIF" and stated > 0)

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 that should be read of one of the ``pictures()``."""
        image = Image.fromarray(picture)
        if self.mode in ("I;16", "F"):
            image = image.convert("L")
        elif self.form == "EXR":  # whose values are linear light (IEC 61966-2-1)
            light = np.asarray(image)[..., :3] / 255
            curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
            return np.rint(255 * curve).astype(np.uint8)
        else:
            image = in_mode(picture, self.mode)
        return np.asarray(image.convert("RGB"))


def _picture(form: str, name: str, layout: str, mode: str = "RGB", **save: Any) -> Picture:
    return Picture(form, name, layout, mode, save)


def _moving(form: str, name: str, layout: str, mode: str = "RGBA", **save: Any) -> Picture:
    return Picture(form, name, layout, mode, save, animated=True)


PICTURES = (
    _picture("PNG", "rgb.png", "8 bits, RGB"),
    _picture("PNG", "rgba.png", "8 bits, RGB and alpha", "RGBA"),
    _picture("PNG", "grey.png", "8 bits, grey", "L"),
    _picture("PNG", "bits.png", "1 bit", "1"),
    _picture("PNG", "palette.png", "palette", "P"),
    _picture("PNG", "wide.png", "16 bits, grey", "I;16"),
    _moving("PNG", "moving.apng", "animation, RGB and alpha", loop=3),
    _picture("JPEG", "rgb.jpg", "8 bits, RGB", quality=98, subsampling=0),
    _picture("JPEG", "grey.jpg", "8 bits, grey", "L", quality=98),
    _picture("JPEG", "cmyk.jpg", "8 bits, CMYK", "CMYK", quality=98),
    _picture("GIF", "still.gif", "palette", "P"),
    _moving("GIF", "moving.gif", "animation, palette", "P", loop=2),
    _picture("WebP", "lossy.webp", "lossy, RGB", quality=98),
    _picture("WebP", "lossless.webp", "lossless, RGB and alpha", "RGBA", lossless=True, exact=True),
    _moving("WebP", "moving.webp", "animation, RGB and alpha", lossless=True, exact=True, loop=3),
    _picture("AVIF", "still.avif", "RGB and alpha", "RGBA", quality=98),
    _moving("AVIF", "moving.avif", "animation, RGB and alpha", quality=98),
    _picture("BMP", "rgb.bmp", "8 bits, RGB"),
    _picture("BMP", "palette.bmp", "palette", "P"),
    _picture("TIFF", "rgb.tif", "8 bits, RGB"),
    _picture("TIFF", "rgba.tif", "8 bits, RGB and alpha, LZW", "RGBA", compression="tiff_lzw"),
    _picture("TIFF", "fax.tif", "1 bit, fax", "1", compression="group4"),
    _picture("TIFF", "wide.tif", "16 bits, grey", "I;16"),
    _picture("TIFF", "floats.tif", "32 bits, floats", "F"),
    _picture("TGA", "rgb.tga", "8 bits, RGB"),
    _picture("TGA", "rgba.tga", "8 bits, RGB and alpha", "RGBA", compression="tga_rle"),
    _picture("PPM", "rgb.ppm", "8 bits, RGB"),
    _picture("PPM", "bits.pbm", "1 bit", "1"),
    _picture("PPM", "floats.pfm", "32 bits, floats", "F"),
    _picture("JPEG 2000", "rgb.jp2", "8 bits, RGB", irreversible=False),
    _picture("JPEG 2000", "rgba.j2k", "8 bits, RGB and alpha", "RGBA"),
    _picture("QOI", "rgb.qoi", "8 bits, RGB"),
    Picture("DPX", "a.dpx", "10 bits, RGB", "RGB", by_ffmpeg=("-pix_fmt", "gbrp10be")),
    Picture("EXR", "a.exr", "floats, linear light", "RGB", by_ffmpeg=("-pix_fmt", "gbrpf32le")),
)
_DELAYS = [40, 80, 40]


def in_mode(picture: np.ndarray, mode: str) -> Image.Image:
    image = Image.fromarray(picture)
    if mode in ("I;16", "F"):
        grey = np.asarray(image.convert("L"))
        return Image.fromarray(grey.astype(np.uint16) * 257 if mode == "I;16" else (grey / 255).astype(np.float32))
    return (
        image
        if mode == "RGBA"
        else image.convert("RGB").quantize(256)
        if mode == "P"
        else image.convert("RGB").convert(mode)
    )


def make_picture(picture: Picture, folder: Path) -> Path:
    path = folder / picture.name
    first, *rest = (in_mode(each, picture.mode) for each in pictures())
    if picture.by_ffmpeg:
        first.save(folder / "first.png")
        command = [executable(), "-v", "error", "-y", "-i", str(folder / "first.png"), *picture.by_ffmpeg]
        subprocess.run([*command, "-update", "1", f"file:{path}"], check=True)
    elif picture.animated:
        first.save(path, save_all=True, append_images=rest, duration=_DELAYS, **picture.save)
    else:
        first.save(path, **picture.save)
    return path
