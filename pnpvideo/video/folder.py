"""A folder of still pictures, one a frame, in the natural order of their names."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import InputError
from pnpvideo.video import stills
from pnpvideo.video.clip import MAX_FRAMES, ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable

FOLDER_FPS = Fraction(24)  # of frames that carry no times of their own
TIME_KEY = "pts_seconds"  # PNG text field of a frame's exact time, "p/q", which the writer leaves in each frame
DURATION_KEY = "duration_seconds"  # likewise, how long it is shown
_RATIONAL = re.compile(r"(\d{1,18})(?:/([1-9]\d{0,17}))?")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Frames in order; frame k is shown from ``times[k]`` to ``times[k + 1]``."""

    members: tuple[stills.Still, ...]
    times: tuple[Fraction, ...]
    info: ClipInfo

    @classmethod
    def of(cls, folder: Path) -> "Folder":
        """Reads the headers of all frames. InputError: none, sizes that differ, a file that is no picture."""
        members = tuple(stills.Still.of(path) for path in _members(folder))
        width, height = members[0].info.width, members[0].info.height
        for member in members:
            if (member.info.width, member.info.height) != (width, height):
                raise InputError(
                    f"{printable(str(member.path))} is {member.info.width}x{member.info.height}, the frames before it "
                    f"are {width}x{height}; all frames of a folder must have one size"
                )
        times = _own_times([member.path for member in members])
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


def _members(folder: Path) -> list[Path]:
    shown = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    strangers = sorted(entry.name for entry in shown if entry.suffix.lower() not in stills.SUFFIXES)
    if strangers:
        raise InputError(
            f"the folder {printable(str(folder))} holds {printable(strangers[0])}, which is no picture; "
            f"a folder of frames holds nothing but {', '.join(sorted(stills.SUFFIXES))}"
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


def _own_times(paths: list[Path]) -> list[Fraction] | None:
    """The times that the frames themselves carry, and the end of the last; None unless all do, in order."""
    times: list[Fraction] = []
    end = Fraction(0)
    for path in paths:
        with stills.opened(path) as image:
            at, shown = (_rational(image.info.get(key)) for key in (TIME_KEY, DURATION_KEY))
        if at is None or shown is None:
            return None
        times.append(at)
        end = at + shown
    times.append(end)
    ordered = all(before < after for before, after in itertools.pairwise(times))
    return [time - times[0] for time in times] if ordered else None


def _rational(text: object) -> Fraction | None:
    match = _RATIONAL.fullmatch(text) if isinstance(text, str) else None
    return Fraction(int(match[1]), int(match[2] or 1)) if match else None
