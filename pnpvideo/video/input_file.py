"""Tell by its first bytes what a path holds. Loads no decoder and no array library, so it answers at once."""

import stat
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.errors import InputError, printable, refuse_url
from pnpvideo.video import containers, picture_formats
from pnpvideo.video.picture_formats import PictureFormat


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A folder of frames, a video or a picture.

    head: the first bytes of a file. demuxer: ffmpeg's name for a video's container. picture: a picture's format. A
    folder has neither of the two.
    """

    path: Path
    head: bytes = b""
    demuxer: str | None = None
    picture: PictureFormat | None = None


def recognise(path: Path, track: int | None = None) -> InputFile:
    """What ``path`` is. Raises InputError if it cannot be opened, is of no known format or is named misleadingly.

    track: video track of a video; an error for anything else.
    """
    name = printable(str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        refuse_url(path)
        raise InputError(f"{name} does not exist; give a video, an animation, a still or a folder of frames") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be opened: {printable(str(error))}") from error
    if stat.S_ISDIR(mode):
        _refuse_track(name, track)
        return InputFile(path=path)
    if not stat.S_ISREG(mode):
        raise InputError(f"{name} is not a regular file; pipes and devices are not read")
    try:
        with path.open("rb") as file:
            head = file.read(containers.HEAD_BYTES)
        demuxer = containers.demuxer_of(path, head)
    except OSError as error:
        raise InputError(f"{name} cannot be opened: {printable(str(error))}") from error
    if demuxer is not None:
        _check_video_name(path, name, head, demuxer)
        return InputFile(path=path, head=head, demuxer=demuxer)
    _refuse_track(name, track)
    form = picture_formats.of_file(path)
    if form is None:
        what = "is empty" if not head else "is no video, animation or picture that is known"
        raise InputError(f"{name} {what}; accepted are {containers.NAMES}, {picture_formats.NAMES}, a folder")
    if path.suffix.lower() in containers.SUFFIXES:
        raise InputError(f"{name} holds a picture, not a video; rename it and try again")
    return InputFile(path=path, head=head, picture=form)


def _refuse_track(name: str, track: int | None) -> None:
    if track is not None:
        raise InputError(f"{name} is no video and has no tracks to choose from; leave --track out")


def _check_video_name(path: Path, name: str, head: bytes, demuxer: str) -> None:
    """Raise InputError for a video with the extension of a picture, and for HEIF, which looks like an MP4."""
    if path.suffix.lower() in picture_formats.SUFFIXES and demuxer != "mjpeg":
        raise InputError(f"{name} holds a video ({demuxer}), not a picture; rename it and try again")
    if containers.is_heif(head):
        raise InputError(f"{name} is a HEIF picture (HEIC), which is not read; convert it to AVIF, PNG or JPEG")
