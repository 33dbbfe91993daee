"""A folder of still pictures, one a frame, in the natural order of their names."""

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import InputError
from pnpvideo.video import picture_formats
from pnpvideo.video.clip import MAX_FRAMES, ClipInfo, Frame
from pnpvideo.video.depth import Range
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.pillow_reader import Remarks
from pnpvideo.video.stills import Still

FOLDER_FPS = Fraction(24)  # of frames that carry no times of their own
TIME_KEY = "pts_seconds"  # PNG text field of a frame's exact time, "p/q", which the writer leaves in each frame
DURATION_KEY = "duration_seconds"  # likewise, how long it is shown
_LEFT_BEHIND = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "zbthumbnail.info", "icon\r"}
    | {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}
)
"""Files and folders that Windows, macOS and storage devices leave everywhere, in lower case. Those that begin with a
dot (.DS_Store, ._a.png, .directory) are passed over anyway."""
_RATIONAL = re.compile(r"(\d{1,18})(?:/([1-9]\d{0,17}))?")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Frames in order; frame k is shown from ``times[k]`` to ``times[k + 1]``."""

    members: tuple[Still, ...]
    times: tuple[Fraction, ...]
    info: ClipInfo

    @classmethod
    def of(cls, folder: Path, remarks: Remarks) -> "Folder":
        """Reads the headers of all frames. InputError: none, sizes that differ, a file that is no picture."""
        members = _of_one_range([_member(path, remarks) for path in _members(folder)])
        width, height = members[0].info.width, members[0].info.height
        for member in members:
            if (member.info.width, member.info.height) != (width, height):
                raise InputError(
                    f"{printable(str(member.path))} is {member.info.width}x{member.info.height}, the frames before it "
                    f"are {width}x{height}; all frames of a folder must have one size"
                )
        times = _own_times(members)
        if times is None:
            times = [k / FOLDER_FPS for k in range(len(members) + 1)]
        steps = [after - before for before, after in itertools.pairwise(times)]
        info = ClipInfo(
            path=folder,
            kind="folder",
            width=width,
            height=height,
            frames=len(members),
            fps=len(members) / times[-1],
            variable_rate=len(set(steps)) > 1,
            duration_seconds=times[-1],
            alpha=any(member.info.alpha for member in members),
        )
        return cls(members=members, times=tuple(times), info=info)

    def edges(self, stop: int | None = None) -> list[Fraction]:
        return list(self.times[: None if stop is None else stop + 1])

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for index, member in list(enumerate(self.members))[start:stop]:
            picture = member.pixels(self.info.alpha)
            if picture.shape[:2] != (self.info.height, self.info.width):
                raise InputError(f"{printable(str(member.path))} changed its size while it was being read")
            time, after = self.times[index], self.times[index + 1]
            yield Frame(index, time - self.times[start], picture, after - time)


def _member(path: Path, remarks: Remarks) -> Still:
    try:
        form = picture_formats.of_file(path)
    except OSError as error:
        raise InputError(f"{printable(str(path))} cannot be opened: {printable(str(error))}") from error
    if form is None:
        raise InputError(picture_formats.unknown(path))
    return Still.of(path, form, remarks)


def _of_one_range(members: list[Still]) -> tuple[Still, ...]:
    """Frames whose values were given a range share one, else brightness would jump from frame to frame."""
    ranges = [member.values for member in members if member.values is not None]
    if not ranges:
        return tuple(members)
    shared = functools.reduce(Range.joined, ranges)
    return tuple(member if member.values is None else replace(member, values=shared) for member in members)


def _members(folder: Path) -> list[Path]:
    shown = [
        entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name.lower() not in _LEFT_BEHIND
    ]
    strangers = sorted(entry.name for entry in shown if entry.suffix.lower() not in picture_formats.SUFFIXES)
    if strangers:
        raise InputError(
            f"the folder {printable(str(folder))} holds {printable(strangers[0])}, which is no picture; "
            f"a folder of frames holds nothing but {picture_formats.NAMES}"
        )
    for entry in shown:
        if not entry.is_file():
            raise InputError(f"{printable(str(entry))} is not a regular file; a folder of frames holds pictures only")
    if not shown:
        raise InputError(f"the folder {printable(str(folder))} is empty; put the frames into it, numbered in order")
    if len(shown) > MAX_FRAMES:
        raise InputError(f"the folder {printable(str(folder))} holds more than {MAX_FRAMES} files; split it")
    return sorted(shown, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorts frame2 before frame10."""
    parts = [part for part in re.split(r"([0-9]+)", path.name) if part]
    return [(int(part), "") if part.isascii() and part.isdecimal() else (-1, part) for part in parts], path.name


def _own_times(members: Sequence[Still]) -> list[Fraction] | None:
    """The times that the frames themselves carry, and the end of the last; None unless all do, in order."""
    times: list[Fraction] = []
    end = Fraction(0)
    for member in members:
        at, shown = (_rational(member.text.get(key)) for key in (TIME_KEY, DURATION_KEY))
        if at is None or shown is None:
            return None
        times.append(at)
        end = at + shown
    times.append(end)
    ordered = all(before < after for before, after in itertools.pairwise(times))
    return [time - times[0] for time in times] if ordered else None


def _rational(text: str | None) -> Fraction | None:
    match = _RATIONAL.fullmatch(text) if text is not None else None
    return Fraction(int(match[1]), int(match[2] or 1)) if match else None
