"""Where a result goes: checked before the heavy work, built under a hidden name, renamed when complete."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from pnpvideo.errors import OutputError
from pnpvideo.video import picture_formats
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.formats import FORMATS, Format, format_of, missing_encoders

LONGEST_NAME_BYTES = 255
OLD = ".old"  # ends the name of a folder that is about to go


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
    _check_existing(target, form, overwrite)
    if source is not None:
        _check_fitting(named, form, source)
    try:
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise OutputError(f"{named}: its folder cannot be written to: {error.strerror}; name another output") from error


def _check_existing(target: Path, form: Format, overwrite: bool) -> None:
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


def building_path(target: Path) -> Path:
    """The hidden name beside the target under which it is built; hashed where the name would grow too long."""
    hidden = f".{target.name}.part"
    if len(os.fsencode(hidden + OLD)) >= LONGEST_NAME_BYTES:
        hidden = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}.part"
    return target.with_name(hidden)


def claim(target: Path) -> FileLock:
    """The right to write ``target``, until it is released or this process ends. OutputError: another run has it."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    name = hashlib.sha256(os.fsencode(target.absolute())).hexdigest()[:32]
    lock = FileLock(Path(tempfile.gettempdir(), f"pnpvideo-{owner}-{name}.lock"), thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        named = printable(str(target))
        raise OutputError(f"{named} is being written by another run; wait for it, or name another output") from None
    return lock


def publish(building: Path, target: Path, form: Format, overwrite: bool) -> None:
    """Makes what was built durable and gives it its name, in one step for a file.

    OutputError: something has come to stand there since ``check_output`` that must not be overwritten.
    """
    _check_existing(target, form, overwrite)
    for path in [*sorted(building.iterdir()), building] if building.is_dir() else [building]:
        _sync(path)
    if building.is_dir() and target.is_dir():
        old = building.with_name(building.name + OLD)
        discard(old)
        os.replace(target, old)
        os.replace(building, target)
        discard(old)
    else:
        os.replace(building, target)
    _sync(target.parent)


def discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
