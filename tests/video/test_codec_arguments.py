"""ffmpeg's options for the tracks of an output."""

import pytest

from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import AudioTrack, Colour
from pnpvideo.video.codec_arguments import (
    audio_arguments,
    missing_encoders,
    picture_arguments,
    sound_encoders,
    subtitle_arguments,
    subtitle_encoders,
)
from pnpvideo.video.formats import FORMATS, UNREADABLE, Format

MP4, MKV, WEBM, MOV, GIF = (FORMATS[suffix] for suffix in (".mp4", ".mkv", ".webm", ".mov", ".gif"))


def sound(codec: str, layout: str = "stereo", rate_hz: int = 48000) -> AudioTrack:
    """A track as ffmpeg describes it."""
    return AudioTrack(codec=codec, description=f"{codec} (LC), {rate_hz} Hz, {layout}, s16, 128 kb/s")


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


@pytest.mark.parametrize(
    ("suffix", "size", "alpha", "layout"),
    [
        (".mp4", (64, 48), False, "yuv420p"),
        (".mp4", (65, 48), False, "yuv444p"),
        (".mp4", (64, 49), False, "yuv444p"),
        (".webm", (65, 49), False, "yuv420p"),
        (".mkv", (64, 48), True, "yuva420p"),
        (".mov", (64, 48), True, "yuva444p10le"),
        (".apng", (64, 48), True, "rgba"),
        (".apng", (64, 48), False, "rgb24"),
    ],
)
def test_the_pixel_layout_fits_size_and_alpha(suffix: str, size: tuple[int, int], alpha: bool, layout: str) -> None:
    arguments = picture_arguments(FORMATS[suffix], *size, alpha, Colour(), 600)
    assert option(arguments, "-pix_fmt") == layout


def test_colour_tags_are_the_sources_or_bt709() -> None:
    tagged = picture_arguments(MP4, 8, 8, False, Colour(matrix="smpte170m", primaries="bt470bg"), 600)
    assert "out_color_matrix=smpte170m:out_range=tv" in option(tagged, "-vf")
    assert "colorspace=smpte170m:color_primaries=bt470bg:color_trc=unknown:range=tv" in option(tagged, "-vf")
    for colour in (Colour(), Colour(matrix="gbr")):
        untagged = option(picture_arguments(MP4, 8, 8, False, colour, 600), "-vf")
        assert "colorspace=bt709:color_primaries=bt709:color_trc=bt709" in untagged


def test_the_clock_of_a_track_is_set_where_the_container_has_one() -> None:
    assert option(picture_arguments(MOV, 8, 8, False, Colour(), 24000), "-video_track_timescale") == "24000"
    assert "-video_track_timescale" not in picture_arguments(MKV, 8, 8, False, Colour(), 24000)


def test_a_gif_keeps_a_transparent_colour_where_there_is_alpha() -> None:
    for alpha in (False, True):
        graph = option(picture_arguments(GIF, 8, 8, alpha, Colour(), 600), "-filter_complex")
        assert f"reserve_transparent={int(alpha)}" in graph


def test_sound_is_copied_transcoded_or_left_out_each_track_for_itself() -> None:
    assert audio_arguments(MP4, [sound("aac"), sound(UNREADABLE), sound("vorbis")]) == [
        *("-map", "1:a:0", "-c:a:0", "copy"),
        *("-map", "1:a:2", "-c:a:1", "aac", "-b:a:1", "192k"),
    ]
    assert "-filter:a:0" in audio_arguments(WEBM, [sound("aac")]), "Opus takes some layouts only"
    assert audio_arguments(GIF, [sound("aac")]) == []


@pytest.mark.parametrize(
    ("form", "track", "encoder"),
    [
        (MP4, sound("apple_apac"), None),  # ffmpeg knows their names, and cannot decode them
        (MP4, sound("ac4"), None),
        (MP4, sound(UNREADABLE), None),
        (MP4, sound("dts"), "aac"),  # whose decoder has another name
        (MKV, sound("pcm_f32be"), "flac"),
        (MP4, sound("mp3", rate_hz=11025), "aac"),
        (MP4, sound("mp3", rate_hz=16000), "copy"),
        (MOV, sound("mp3", rate_hz=11025), "copy"),
        (GIF, sound("aac"), None),
    ],
)
def test_what_becomes_of_a_sound_track(form: Format, track: AudioTrack, encoder: str | None) -> None:
    assert sound_encoders(form, [track]) == [encoder]


@pytest.mark.parametrize(
    ("form", "layout", "wanted"),
    [
        (MP4, "7.1", None),
        (MP4, "", None),
        (MP4, "7.1.4", "aformat=channel_layouts=7.1|5.1|stereo|mono"),
        (MKV, "22.2", "aformat=channel_layouts=7.1|5.1|stereo|mono"),
        (MP4, "9 channels", "pan=stereo|c0<c0+c2+c4+c6+c8|c1<c1+c3+c5+c7"),
        (WEBM, "1 channels", "pan=mono|c0=c0"),
    ],
)
def test_channels_that_an_encoder_does_not_take_are_mixed(form: Format, layout: str, wanted: str | None) -> None:
    arguments = audio_arguments(form, [sound("wmav2", layout)])
    assert ("-filter:a:0" in arguments) == (wanted is not None)
    assert wanted is None or option(arguments, "-filter:a:0") == wanted


def test_subtitles_are_copied_converted_or_left_out() -> None:
    codecs = ["mov_text", "hdmv_pgs_subtitle", "subrip"]
    assert subtitle_encoders(MP4, codecs, False) == ["copy", None, "mov_text"]
    assert subtitle_encoders(MKV, codecs, False) == ["srt", "copy", "copy"]
    assert subtitle_encoders(MKV, codecs, True) == subtitle_encoders(GIF, codecs, False) == [None] * 3
    assert subtitle_arguments(["copy", None, "srt"]) == [
        "-map",
        "1:s:0",
        "-c:s:0",
        "copy",
        "-map",
        "1:s:2",
        "-c:s:1",
        "srt",
    ]


def test_encoders_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "encoders", lambda: frozenset({"libx264"}))
    assert missing_encoders(MP4, False, [sound("aac"), sound(UNREADABLE)]) == []
    assert missing_encoders(MP4, False, [sound("vorbis")]) == ["aac"]
    assert missing_encoders(MOV, True, []) == ["prores_ks"]
    assert missing_encoders(FORMATS[".png"], True, []) == []
