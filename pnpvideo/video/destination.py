"""Check where a result goes before the heavy work begins."""

import os
import tempfile
from pathlib import Path

from pnpvideo.errors import OutputError
from pnpvideo.publish import LONGEST_NAME_BYTES
from pnpvideo.video import picture_formats
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.formats import FORMATS, Format, format_of, missing_encoders


def resolve(path: str | Path) -> tuple[Path, Format]:
    """The output's path and format. A name that ends in a separator or has no extension is a folder of PNGs."""
    text = os.fspath(path)
    if not text or "\0" in text:
        raise OutputError(f"the output path is {text!r}; accepted is the path of a file or folder")
    target = Path(text)
    return target, FORMATS[""] if text.endswith(("/", os.sep)) else format_of(target)


def check_output(path: str | Path, source: ClipInfo | None, overwrite: bool = False) -> None:
    """Raises OutputError now for what would otherwise fail after the heavy work.

    source: what will be translated, None where nothing is read. Refused are: an unknown extension, a folder that is
    missing or cannot be written to, an output that is the input, one that exists (unless ``overwrite``), one picture
    for a clip of several frames, an encoder that this ffmpeg lacks, a frame rate beyond the format's clock.
    """
    target, form = resolve(path)
    named = printable(str(target))
    if len(os.fsencode(target.name)) > LONGEST_NAME_BYTES:
        raise OutputError(f"{named}: the name is too long; accepted are {LONGEST_NAME_BYTES} bytes")
    if not target.parent.is_dir():
        raise OutputError(f"{named}: the folder {printable(str(target.parent))} does not exist; make it first")
    if source is not None and source.path is not None and target.exists():
        if target.samefile(source.path):
            raise OutputError(f"{named} is the input itself; name another output")
        if target.resolve() in source.path.resolve().parents:
            raise OutputError(f"the folder {named} holds the input and would be replaced; name another output")
    check_existing(target, form, overwrite)
    if source is not None:
        _check_fitting(named, form, source)
    try:
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise OutputError(f"{named}: its folder cannot be written to: {error.strerror}; name another output") from error


def check_existing(target: Path, form: Format, overwrite: bool) -> None:
    """Raise OutputError if something stands at ``target`` that may not be replaced."""
    named = printable(str(target))
    if not os.path.lexists(target):
        return
    if form.route != "folder":
        if not target.is_file():
            raise OutputError(f"{named} exists and is no regular file; name another output")
    elif not target.is_dir():
        raise OutputError(f"{named} exists and is no folder; name another output")
    elif not any(target.iterdir()):
        return
    elif any(entry.suffix.lower() not in picture_formats.SUFFIXES or not entry.is_file() for entry in target.iterdir()):
        raise OutputError(f"the folder {named} holds other things than frames; name another output")
    if not overwrite:
        raise OutputError(f"{named} exists; name another output, or allow it to be overwritten")


def _check_fitting(named: str, form: Format, source: ClipInfo) -> None:
    if form.single and source.frames != 1:
        raise OutputError(
            f"{named} holds one picture, the input is a clip; name a folder or a clip as the output, "
            "or a span of one frame"
        )
    if max(source.width, source.height) > form.longest_side:
        raise OutputError(
            f"{named}: the input is {source.width}x{source.height}, {printable(Path(named).suffix)} holds up to "
            f"{form.longest_side} pixels a side; name another format"
        )
    shortest = form.shortest_seconds or form.tick_seconds
    if shortest is not None and source.fps is not None and source.fps * shortest > 1:
        raise OutputError(
            f"{named}: {float(source.fps):g} frames a second are beyond what {printable(Path(named).suffix)} can time "
            f"({float(1 / shortest):g}); name another format"
        )
    missing = missing_encoders(form, source.alpha, [track.codec for track in source.audio])
    if missing:
        raise OutputError(f"{named}: this ffmpeg lacks the encoder {', '.join(missing)}; name another format")
