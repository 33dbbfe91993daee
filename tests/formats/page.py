"""docs/formats.md as text, from what is found out about each sample and each output."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.video.formats import FORMATS
from pnpvideo.video.picture_formats import PICTURE_FORMATS

from .facts import Facts, Written, of_output, of_picture, of_video
from .samples import PICTURES, VIDEOS, Picture, Video, make_picture, make_sounding, make_video

HEAD = """# Formats

Written by `python -m tests.formats docs/formats.md`, which makes a file of each kind, reads it, writes each output and
reads it back. Change the code, not this page; `tests/test_formats.py` compares the two.

A file is recognised by its first bytes, not by its name. All pixels become 8 bits of RGB, with alpha where a table says
so. *Exact*: bit for bit, and times as the file states them. *Close*: what a lossy codec makes of smooth pictures.

Video that does not state its colour matrix is read as BT.709 from 720 rows on, and as BT.601 below, as players do.
Video whose frames are flagged as interlaced, by the first four of them, is deinterlaced, with a notice: each frame's
two fields become one whole frame, so the number of frames and their times stay.
"""
READ = """## Videos that are read

| container | extensions | codec, pixels | times | alpha | colour | sound | subtitles |
|---|---|---|---|---|---|---|---|"""
SEEN = """
## Pictures and animations that are read

A folder of such pictures is a clip, 24 a second unless its frames carry times, as those written by pnpvideo do.

| format | extensions | pixels | delays | alpha | colour | loop |
|---|---|---|---|---|---|---|"""
KEPT = "\nWhat else each format keeps:\n"
WROTE = """
## Outputs

The extension decides the format. *Over white*: transparent parts are composited over white. *On or off*: a pixel
becomes fully transparent or opaque. *Times*: how closely a container keeps times that do not fall on the ticks of its
clock; those of the test do not. *With alpha*: the encoder of transparent pictures. Sound that is transcoded has at most
8 channels in the result. A sound track that cannot be copied and that ffmpeg cannot decode is left out, with a notice.

| output | encoder | with alpha | times | alpha | colour | sound copied | else transcoded to | subtitles | loop |
|---|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Findings:
    videos: Sequence[tuple[Video, Facts]]
    pictures: Sequence[tuple[Picture, Facts]]
    outputs: Sequence[tuple[str, Written]]


def findings() -> Findings:
    """Makes, reads and writes everything, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="formats-") as name:
        folder = Path(name)
        outputs = folder / "outputs"
        outputs.mkdir()
        sounding = make_sounding(folder)
        return Findings(
            videos=[(video, of_video(video, make_video(video, folder))) for video in VIDEOS],
            pictures=[(picture, of_picture(picture, make_picture(picture, folder))) for picture in PICTURES],
            outputs=[(suffix, of_output(suffix, sounding, outputs)) for suffix in FORMATS],
        )


def page(found: Findings) -> str:
    return (
        "\n".join([HEAD, READ, *_videos(found), SEEN, *_pictures(found), KEPT, *_kept(), WROTE, *_outputs(found)])
        + "\n"
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _videos(found: Findings) -> Iterator[str]:
    for video, facts in found.videos:
        extensions = " ".join(video.extensions)
        cells = (facts.times, facts.alpha, facts.colour, facts.sound, facts.subtitles)
        yield _row(video.container, extensions, video.codec, *cells)


def _pictures(found: Findings) -> Iterator[str]:
    extensions = {form.name: " ".join(form.suffixes) for form in PICTURE_FORMATS}
    for picture, facts in found.pictures:
        cells = (facts.times, facts.alpha, facts.colour, facts.loop)
        yield _row(picture.form, extensions[picture.form], picture.layout, *cells)


def _kept() -> Iterator[str]:
    yield from (f"- {form.name}: {form.preserved}." for form in PICTURE_FORMATS)


def _outputs(found: Findings) -> Iterator[str]:
    for suffix, facts in found.outputs:
        form = FORMATS[suffix]
        encoders = [
            options[1] if options else form.muxer or form.route for options in (form.encoder, form.alpha_encoder)
        ]
        cells = (facts.times, facts.alpha, facts.colour, facts.copied, facts.transcoded, facts.subtitles, facts.loop)
        name = suffix or "a folder of PNGs"
        yield _row(name, encoders[0], encoders[1] if form.alpha else "", *cells)
