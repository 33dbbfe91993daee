"""Check where a result goes before the heavy work begins."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pnpvideo.errors import OutputError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.publish import LONGEST_NAME_BYTES, check_writable
from pnpvideo.video import folder_entries
from pnpvideo.video.clip import Clip, ClipInfo
from pnpvideo.video.codec_arguments import has_whole_chroma, missing_encoders, sound_encoders, subtitle_encoders
from pnpvideo.video.formats import FORMATS, UNREADABLE, Format, format_of


def resolve_output(path: str | Path) -> tuple[Path, Format]:
    """The output's path and format. A name that ends in a separator or has no extension is a folder of PNGs.

    A folder that is named by a link, or by "..", is the folder itself, since a result takes its place. Raises
    OutputError for an empty path, a NUL character, an unknown extension, and the folder in which this process runs.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        raise OutputError(f"the output path is {text!r}; accepted is the path of a file or folder")
    target = Path(text)
    form = FORMATS[""] if text.endswith(("/", os.sep)) or target.name == ".." else format_of(target)
    if form.route != "folder":
        return target, form
    real = Path(os.path.realpath(target))
    if real == Path(os.path.realpath(".")):
        raise OutputError(f"{printable(text)} is the current folder, which cannot be replaced; name another folder")
    return (real if target.name == ".." or target.is_symlink() else target), form


def describe_output(target: Path, form: Format) -> str:
    """The text that names this output again: a folder whose name looks like a file's ends in a slash."""
    return f"{target}/" if form.route == "folder" and target.suffix else str(target)


def check_output(path: str | Path, source: ClipInfo | None, overwrite: bool = False) -> None:
    """Raise OutputError now for what would otherwise fail after the heavy work.

    That is: what ``check_place`` refuses, a single picture for a clip of several frames, pictures that are too large or
    a frame rate that is too high for the format, and an encoder that this ffmpeg lacks.
    source: the clip that will be translated; None if nothing is read.
    """
    check_place(path, None if source is None else source.path, overwrite)
    if source is not None:
        target, form = resolve_output(path)
        _check_format(printable(str(target)), form, source)


def check_place(path: str | Path, source: Path | None, overwrite: bool = False) -> None:
    """Raise OutputError for a place where no result can go; needs nothing of the input but its path.

    That is: an unknown extension, a folder that is missing or not writable, an output that is the input or holds it,
    and one that exists (unless ``overwrite``). source: the input; None if nothing is read.
    """
    target, form = resolve_output(path)
    with reachable(target):
        _check_place(target, form, source, overwrite)


@contextlib.contextmanager
def reachable(target: Path) -> Iterator[None]:
    """Turn what the system refuses while an output is checked, such as to enter its folder, into an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{printable(str(target))} cannot be written: {error.strerror or error}; name an output in a "
            "folder that you may enter, list and write to"
        ) from error


def _check_place(target: Path, form: Format, source: Path | None, overwrite: bool) -> None:
    name = printable(str(target))
    if len(os.fsencode(target.name)) > LONGEST_NAME_BYTES:
        raise OutputError(f"{name}: the name is too long; accepted are {LONGEST_NAME_BYTES} bytes")
    if not target.parent.is_dir():
        raise OutputError(f"{name}: the folder {printable(str(target.parent))} does not exist; make it first")
    if source is not None and target.exists():
        if target.samefile(source):
            raise OutputError(f"{name} is the input itself; name another output")
        if target.resolve() in source.resolve().parents:
            raise OutputError(f"the folder {name} holds the input and would be replaced; name another output")
    _check_existing(target, form, overwrite)
    check_writable(target)


def check_file(target: Path, overwrite: bool) -> None:
    """Raise OutputError for a place where no file can go, of whatever kind."""
    name = printable(str(target))
    with reachable(target):
        if not target.parent.is_dir():
            raise OutputError(f"{name}: the folder {printable(str(target.parent))} does not exist; make it first")
        if target.exists() and not target.is_file():
            raise OutputError(f"{name} exists and is no regular file; name another output")
        if os.path.lexists(target) and not overwrite:
            raise OutputError(f"{name} exists; name another output, or replace it: -y, or overwrite=True in Python")
        check_writable(target)


def check_folder(folder: Path) -> None:
    """Raise OutputError for a place where no folder can be made that collects results, with those above it."""
    with reachable(folder):
        place = next(each for each in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(each))
        if not place.is_dir():
            raise OutputError(f"{printable(str(folder))}: {printable(str(place))} is no folder; name another output")
        check_writable(place / folder.name)


def make_folder(folder: Path) -> None:
    """Make a folder that collects results, with those above it; it may be there already. Raises OutputError."""
    check_folder(folder)
    with reachable(folder):
        folder.mkdir(parents=True, exist_ok=True)


def report_left_out(clip: Clip, path: str | Path, report: Report) -> None:
    """Report what the clip has and the output will not: alpha, sound and subtitle tracks, the timecode.

    Also a size for which the output needs a kind of H.264 that many players do not play.
    """
    target, form = resolve_output(path)
    info, name = clip.info, printable(target.suffix)
    if info.alpha and not form.alpha:
        others = [
            each for each, other in FORMATS.items() if each and other.alpha and (info.frames == 1 or not other.single)
        ]
        kept = f"{', '.join(others)} and folders of frames keep it"
        report(Notice(message=f"{name} has no transparency: what is transparent becomes white; {kept}"))
    if has_whole_chroma(form, info.width, info.height, info.alpha):
        report(
            Notice(
                message=f"the result is {info.width}x{info.height}, and H.264 holds an odd width or height in 4:4:4 "
                "alone, which many players do not play; a .webm of this size is 4:2:0"
            )
        )
    for number, (sound, encoder) in enumerate(zip(clip.info.audio, sound_encoders(form, clip.info.audio), strict=True)):
        if encoder is None and form.audio:
            unknown = "is in a codec that ffmpeg does not know"
            which = unknown if sound.codec == UNREADABLE else f"({sound.codec}) cannot be decoded by ffmpeg"
            report(Notice(message=f"sound track {number} {which}; it is left out"))
    encoders = subtitle_encoders(form, [track.codec for track in clip.info.subtitles], clip.span is not None)
    for number, (subtitle, encoder) in enumerate(zip(clip.info.subtitles, encoders, strict=True)):
        if encoder is None:
            why = "of a span no subtitles are kept" if clip.span else "the output cannot hold it"
            report(Notice(message=f"subtitle track {number} ({subtitle.codec}) is left out: {why}"))
    if clip.info.timecode is not None and (clip.span is not None or not form.audio):
        why = "a span does not begin at it" if clip.span else "the output cannot hold it"
        report(Notice(message=f"the timecode, {clip.info.timecode}, is left out: {why}"))


def check_existing(target: Path, form: Format, overwrite: bool) -> None:
    """Raise OutputError if something exists at ``target`` that must not be replaced.

    Even with ``overwrite``, only a regular file or a folder of frames may be replaced, with what file managers noted in
    it. An empty folder always may.
    """
    with reachable(target):
        _check_existing(target, form, overwrite)


def _check_existing(target: Path, form: Format, overwrite: bool) -> None:
    name = printable(str(target))
    if not os.path.lexists(target):
        return
    if form.route != "folder":
        if not target.is_file():
            raise OutputError(f"{name} exists and is no regular file; name another output")
    elif not target.is_dir():
        raise OutputError(f"{name} exists and is no folder; name another output")
    elif not any(target.iterdir()):
        return
    elif others := folder_entries.kept(target):
        raise OutputError(
            f"the folder {name} holds other things than frames, such as {printable(others[0].name)}; move them away, "
            "or name another output"
        )
    if not overwrite:
        raise OutputError(f"{name} exists; name another output, or replace it: -y, or overwrite=True in Python")


def _check_format(name: str, form: Format, source: ClipInfo) -> None:
    """Raise OutputError if the format cannot hold the clip, or cannot be written here."""
    suffix = printable(Path(name).suffix)
    if form.single and source.frames != 1:
        raise OutputError(
            f"{name} holds one picture, the input is a clip; name a folder or a clip as the output, "
            "or a span of one frame"
        )
    if max(source.width, source.height) > form.longest_side:
        raise OutputError(
            f"{name}: the input is {source.width}x{source.height}, {suffix} holds up to "
            f"{form.longest_side} pixels a side; name another format"
        )
    shortest = form.shortest_seconds or form.tick_seconds
    if shortest is not None and source.fps is not None and source.fps * shortest > 1:
        raise OutputError(
            f"{name}: {float(source.fps):g} frames a second are beyond what {suffix} can time "
            f"({float(1 / shortest):g}); name another format"
        )
    missing = missing_encoders(form, source.alpha, source.audio)
    if missing:
        raise OutputError(f"{name}: this ffmpeg lacks the encoder {', '.join(missing)}; name another format")
