"""Read a folder of still pictures as a clip: one per frame, in the natural order of their names."""

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import InputError, printable
from pnpvideo.video import folder_entries, picture_formats
from pnpvideo.video.bit_depth import ValueRange
from pnpvideo.video.clip import MAX_FRAMES, ClipInfo, Frame
from pnpvideo.video.pillow_reader import FileWarnings
from pnpvideo.video.stills import Still

FOLDER_FPS = Fraction(24)
"""Frames per second of frames that state no times of their own."""
TIME_KEY = "pts_seconds"
"""PNG text field with a frame's exact time, "p/q", which ``pillow_writers.FolderWriter`` writes."""
DURATION_KEY = "duration_seconds"
"""PNG text field with how long a frame is shown, likewise."""
_RATIONAL = re.compile(r"(\d{1,18})(?:/([1-9]\d{0,17}))?")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of stills; frame k is shown from ``edges_seconds[k]`` to ``edges_seconds[k + 1]``."""

    members: tuple[Still, ...]
    edges_seconds: tuple[Fraction, ...]
    info: ClipInfo

    @classmethod
    def open(cls, folder: Path, file_warnings: FileWarnings) -> "Folder":
        """Read the headers of all frames.

        Raises InputError if there are none, if their sizes differ, or if a file is no picture.
        """
        members = _share_range([_open_member(path, file_warnings) for path in _list_members(folder)])
        width, height = members[0].info.width, members[0].info.height
        for member in members:
            if (member.info.width, member.info.height) != (width, height):
                raise InputError(
                    f"{printable(str(member.path))} is {member.info.width}x{member.info.height}, the frames before it "
                    f"are {width}x{height}; all frames of a folder must have one size"
                )
        edges = _stated_edges(members)
        if edges is None:
            edges = [k / FOLDER_FPS for k in range(len(members) + 1)]
        steps = [after - before for before, after in itertools.pairwise(edges)]
        info = ClipInfo(
            path=folder,
            kind="folder",
            width=width,
            height=height,
            frames=len(members),
            fps=len(members) / edges[-1],
            variable_rate=len(set(steps)) > 1,
            duration_seconds=edges[-1],
            alpha=any(member.info.alpha for member in members),
        )
        return cls(members=members, edges_seconds=tuple(edges), info=info)

    def edges(self, stop: int | None = None, stop_seconds: Fraction | None = None) -> list[Fraction]:
        """Times at which the frames begin, and at which the last one ends. See ``Source.edges``."""
        return list(self.edges_seconds)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Decode frames start to stop (exclusive), the first of them at 0 seconds."""
        for index, member in list(enumerate(self.members))[start:stop]:
            picture = member.pixels(self.info.alpha)
            if picture.shape[:2] != (self.info.height, self.info.width):
                raise InputError(f"{printable(str(member.path))} changed its size while it was being read")
            time, after = self.edges_seconds[index], self.edges_seconds[index + 1]
            yield Frame(index, time - self.edges_seconds[start], picture, after - time)


def _open_member(path: Path, file_warnings: FileWarnings) -> Still:
    try:
        form = picture_formats.of_file(path)
    except OSError as error:
        raise InputError(f"{printable(str(path))} cannot be opened: {printable(str(error))}") from error
    if form is None:
        raise InputError(picture_formats.describe_unknown(path))
    return Still.open(path, form, file_warnings)


def _share_range(members: list[Still]) -> tuple[Still, ...]:
    """Give all frames that need a range of values the same one, so that brightness does not jump between frames."""
    ranges = [member.values for member in members if member.values is not None]
    if not ranges:
        return tuple(members)
    shared = functools.reduce(ValueRange.union, ranges)
    return tuple(member if member.values is None else replace(member, values=shared) for member in members)


def _list_members(folder: Path) -> list[Path]:
    """The files that are frames, in natural order. Raises InputError for anything else in the folder."""
    try:
        return _checked_members(folder, folder_entries.counted(folder))
    except OSError as error:
        raise InputError(
            f"the folder {printable(str(folder))} cannot be read: {error.strerror}; give yourself the right to "
            "list and enter it"
        ) from error


def _checked_members(folder: Path, entries: list[Path]) -> list[Path]:
    others = sorted(entry.name for entry in entries if entry.suffix.lower() not in picture_formats.SUFFIXES)
    if others:
        raise InputError(
            f"the folder {printable(str(folder))} holds {printable(others[0])}, which is no picture; "
            f"a folder of frames holds nothing but {picture_formats.NAMES}"
        )
    for entry in entries:
        if not entry.is_file():
            raise InputError(f"{printable(str(entry))} is not a regular file; a folder of frames holds pictures only")
    if not entries:
        raise InputError(f"the folder {printable(str(folder))} is empty; put the frames into it, numbered in order")
    if len(entries) > MAX_FRAMES:
        raise InputError(f"the folder {printable(str(folder))} holds more than {MAX_FRAMES} files; split it")
    return sorted(entries, key=_natural_key)


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key that puts frame2 before frame10."""
    parts = [part for part in re.split(r"([0-9]+)", path.name) if part]
    return [(int(part), "") if part.isascii() and part.isdecimal() else (-1, part) for part in parts], path.name


def _stated_edges(members: Sequence[Still]) -> list[Fraction] | None:
    """The times that the frames themselves state, and the end of the last one; None unless all do, in order."""
    edges: list[Fraction] = []
    end = Fraction(0)
    for member in members:
        time, duration = (_parse_rational(member.text.get(key)) for key in (TIME_KEY, DURATION_KEY))
        if time is None or duration is None:
            return None
        edges.append(time)
        end = time + duration
    edges.append(end)
    in_order = all(before < after for before, after in itertools.pairwise(edges))
    return [edge - edges[0] for edge in edges] if in_order else None


def _parse_rational(text: str | None) -> Fraction | None:
    match = _RATIONAL.fullmatch(text) if text is not None else None
    return Fraction(int(match[1]), int(match[2] or 1)) if match else None
