"""docs/formats.md says what reading and writing do to each format, and nothing is lost that it does not name."""

from pathlib import Path

import pytest

from pnpvideo.video.containers import SUFFIXES as VIDEO_SUFFIXES
from pnpvideo.video.formats import FORMATS
from pnpvideo.video.picture_formats import PICTURE_FORMATS
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer
from tests.formats.page import Findings, findings, page
from tests.formats.samples import PICTURES, VIDEOS, make_picture, make_video

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"


@pytest.fixture(scope="module")
def found() -> Findings:
    return findings()


def test_the_page_says_what_was_found(found: Findings) -> None:
    assert PAGE.read_text("utf-8") == page(found), "write it again: python -m tests.formats docs/formats.md"


def test_nothing_that_a_file_has_is_lost_or_wrong(found: Findings) -> None:
    kept = {video.name: facts for video, facts in found.videos} | {each.name: facts for each, facts in found.pictures}
    assert [name for name, facts in kept.items() if {"lost", "wrong"} & {*vars(facts).values()}] == []
    assert [suffix for suffix, kept in found.outputs if "wrong" in vars(kept).values()] == []


def test_every_format_that_is_known_has_a_sample(found: Findings) -> None:
    assert {picture.form for picture in PICTURES} == {form.name for form in PICTURE_FORMATS}
    assert {suffix for video in VIDEOS for suffix in video.extensions} >= VIDEO_SUFFIXES
    assert [suffix for suffix, _ in found.outputs] == list(FORMATS)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_input_becomes_every_output(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    samples = [*((video.name, make_video(video, tmp_path)) for video in VIDEOS)]
    samples += [*((picture.name, make_picture(picture, tmp_path)) for picture in PICTURES)]
    for name, path in samples:
        clip = read(path)
        frames = list(clip.frames())
        if FORMATS[suffix].single and clip.info.frames != 1:
            continue
        target = tmp_path / "outputs" / f"{name.replace('.', '-')}{suffix}"
        with Writer(target, clip.info) as writer:
            for frame in frames:
                writer.append(frame.pixels, frame.pts_seconds, frame.duration_seconds)
        back = read(target)
        shown = list(back.frames())
        assert len(shown) == len(frames)
        assert (back.info.width, back.info.height) == (clip.info.width, clip.info.height)
        assert back.info.alpha == (clip.info.alpha and FORMATS[suffix].alpha)
        assert len(back.info.audio) == (len(clip.info.audio) if FORMATS[suffix].audio else 0)
