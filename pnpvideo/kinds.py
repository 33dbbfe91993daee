"""The kinds of values that options have: what each accepts, and how it is read from text and from TOML.

Nothing heavy is imported here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from pnpvideo.errors import OptionError
from pnpvideo.video.span import TimeSpan


@dataclass(frozen=True)
class Kind:
    """The type of an option's values.

    ``check`` raises OptionError for a value that is not accepted. ``parse`` converts the text of a flag or variable,
    ``load`` a value of a TOML or JSON file, whose relative paths start at the file's ``folder``; both may raise
    OptionError. ``dump`` converts a value for such a file, with absolute paths, so that ``load`` gives it back.
    ``files`` yields the files and folders that a value names to be read.
    """

    metavar: ClassVar[str] = "TEXT"

    def check(self, name: str, value: Any) -> None:
        raise NotImplementedError

    def parse(self, name: str, text: str) -> Any:
        return text

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return value

    def dump(self, value: Any) -> Any:
        return value

    def files(self, value: Any) -> Iterator[Path]:
        yield from ()


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from ``low`` to ``high`` inclusive (None: no upper limit)."""

    low: int
    high: int | None = None
    metavar: ClassVar[str] = "N"

    def check(self, name: str, value: Any) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < self.low or (self.high is not None and value > self.high):
            span = f"from {self.low} to {self.high}" if self.high is not None else f"of at least {self.low}"
            raise OptionError(f"{name} is {value!r}; accepted is a whole number {span}")

    def parse(self, name: str, text: str) -> Any:
        return _number(name, text, int, "a whole number")


@dataclass(frozen=True)
class Real(Kind):
    """A finite number from ``low`` to ``high`` inclusive; with ``above``, ``low`` itself is not accepted."""

    low: float
    high: float
    above: bool = False
    metavar: ClassVar[str] = "NUMBER"

    def check(self, name: str, value: Any) -> None:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not self.low <= value <= self.high:
            raise OptionError(f"{name} is {value!r}; accepted is a number from {self.low:g} to {self.high:g}")
        if self.above and value == self.low:
            raise OptionError(f"{name} is {value:g}; accepted is a number above {self.low:g} and up to {self.high:g}")

    def parse(self, name: str, text: str) -> Any:
        return _number(name, text, float, "a number")


SHARE = Real(0.0, 1.0)
"""A share of the steps of a run, or of a quantity."""


@dataclass(frozen=True)
class Choice(Kind):
    """One of ``values``."""

    values: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        if value not in self.values:
            raise OptionError(f"{name} is {value!r}; accepted: {', '.join(self.values)}")

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return _text(name, value)


@dataclass(frozen=True)
class Number(Kind):
    """One of a few numbers. accepted: how messages list them, such as "0 (off), 1, 2"."""

    values: tuple[float, ...]
    accepted: str
    metavar: ClassVar[str] = "NUMBER"

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, bool) or value not in self.values:
            raise OptionError(f"{name} is {value!r}; accepted: {self.accepted}")

    def parse(self, name: str, text: str) -> Any:
        return _number(name, text, float, self.accepted)


@dataclass(frozen=True)
class Switch(Kind):
    """True or False."""

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise OptionError(f"{name} is {value!r}; accepted: True, False")

    def parse(self, name: str, text: str) -> Any:
        known = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if text.strip().lower() not in known:
            raise OptionError(f"{name} is {text!r}; accepted is true or false")
        return known[text.strip().lower()]

    def load(self, name: str, value: Any, folder: Path) -> Any:
        if not isinstance(value, bool):
            raise OptionError(f"{name} is {value!r}; accepted is true or false")
        return value


@dataclass(frozen=True)
class Text(Kind):
    """Any text."""

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            raise OptionError(f"{name} is {value!r}; accepted is a text")

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return _text(name, value)


@dataclass(frozen=True)
class Model(Text):
    """One of ``aliases``, a hub id, or a folder; a folder in a TOML file may be relative to the file."""

    aliases: tuple[str, ...] = ()
    metavar: ClassVar[str] = "MODEL"

    def load(self, name: str, value: Any, folder: Path) -> Any:
        """Resolve a path relative to the TOML file, if it exists or starts like a path; keep aliases and hub ids."""
        beside = folder / Path(_text(name, value)).expanduser()
        path_only = value.startswith(("./", "../", "~"))
        may_be_path = value and value not in self.aliases
        return str(beside) if may_be_path and (path_only or beside.exists()) else value

    def dump(self, value: Any) -> Any:
        return str(Path(value).absolute()) if self._is_path(value) else value

    def files(self, value: Any) -> Iterator[Path]:
        if self._is_path(value):
            yield Path(value)

    def _is_path(self, value: str) -> bool:
        return value not in self.aliases and Path(value).exists()


@dataclass(frozen=True)
class File(Kind):
    """A path of a file, or with ``folder`` of a folder. written: it is written, not only read."""

    folder: bool = False
    written: bool = False
    metavar: ClassVar[str] = "PATH"

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str | Path):
            raise OptionError(f"{name} is {value!r}; accepted is a path")

    def parse(self, name: str, text: str) -> Any:
        return Path(text)

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return folder / Path(_text(name, value)).expanduser()

    def dump(self, value: Any) -> Any:
        return str(Path(value).absolute())

    def files(self, value: Any) -> Iterator[Path]:
        if not self.written:
            yield Path(value)


@dataclass(frozen=True)
class Shares(Kind):
    """A pair of shares of the run, such as (0.0, 0.8); as text ``A:B``, where either side may be left out."""

    metavar: ClassVar[str] = "A:B"

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise OptionError(f"{name} is {value!r}; accepted is a pair of shares, such as (0.0, 0.8)")
        for share in value:
            SHARE.check(name, share)
        if value[0] >= value[1]:
            raise OptionError(f"{name} is {value[0]:g}:{value[1]:g}, an empty span")

    def parse(self, name: str, text: str) -> Any:
        start, colon, stop = text.partition(":")
        try:
            if colon:
                return float(start or 0), float(stop or 1)
        except ValueError:
            pass
        raise OptionError(f"{text!r} is no span; accepted is A:B, two shares of the run, such as 0:0.8")

    def load(self, name: str, value: Any, folder: Path) -> Any:
        if isinstance(value, str):
            return self.parse(name, value)
        return tuple(value) if isinstance(value, list) else value

    def dump(self, value: Any) -> Any:
        return list(value)


@dataclass(frozen=True)
class Layers(Kind):
    """Layers of a network, counted from 0, such as [4, 7]; at least one."""

    metavar: ClassVar[str] = "[N,...]"

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, list | tuple) or not value:
            raise OptionError(f"{name} is {value!r}; accepted is a list of layers, such as [4, 7]")
        for layer in value:
            Whole(0).check(name, layer)


@dataclass(frozen=True)
class Bytes(Whole):
    """A number of bytes; as text with K, M, G or T, powers of 1,024: ``8G``, ``2.5G``."""

    metavar: ClassVar[str] = "BYTES"

    def parse(self, name: str, text: str) -> Any:
        trimmed = text.strip().upper().removesuffix("B").removesuffix("I")
        unit = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(trimmed[-1:], 1)
        try:
            return int(float(trimmed.rstrip("KMGT")) * unit)
        except (ValueError, OverflowError):
            raise OptionError(f"{text!r} is no size; accepted is a number with K, M, G or T, such as 8G") from None

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return self.parse(name, value) if isinstance(value, str) else value


_SPAN = re.compile(r"(?:(\d{1,18})|(\d{1,9}(?:\.\d{1,9})?)s)?:(?:(\d{1,18})|(\d{1,9}(?:\.\d{1,9})?)s)?", re.ASCII)


@dataclass(frozen=True)
class Frames(Kind):
    """A half-open span of frames: numbers (start, stop) from 0, with stop None for the end, or a TimeSpan.

    As text "10:25", "10:", "2.5s:4s" or "2.5s:".
    """

    metavar: ClassVar[str] = "A:B"

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, TimeSpan):
            return
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise OptionError(f"{name} is {value!r}; accepted is a pair (start, stop), such as (0, 25), or a TimeSpan")
        start, stop = value
        Whole(0).check(f"{name} (start)", start)
        if stop is not None:
            Whole(0).check(f"{name} (stop)", stop)
            if stop <= start:
                raise OptionError(
                    f"{name} is {start}:{stop}, an empty span; the end is exclusive and must lie beyond the start"
                )

    def parse(self, name: str, text: str) -> Any:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise OptionError(
                f"{name} is {text!r}; accepted is A:B, half-open, in frames counted from 0, such as 0:25 or 10:, or in "
                "seconds, such as 2.5s:4s or 2.5s:"
            )
        first, first_seconds, last, last_seconds = match.groups()
        if (first and last_seconds) or (first_seconds and last):
            raise OptionError(f"{name} is {text!r}, a mix of frames and seconds; give both in one unit, such as 10:40")
        if first_seconds or last_seconds:
            return TimeSpan(Fraction(first_seconds or 0), Fraction(last_seconds) if last_seconds else None)
        return int(first or 0), int(last) if last else None

    def load(self, name: str, value: Any, folder: Path) -> Any:
        if not isinstance(value, str):
            raise OptionError(f'{name} is {value!r}; accepted is a text such as "0:25"')
        return self.parse(name, value)

    def dump(self, value: Any) -> Any:
        return str(value) if isinstance(value, TimeSpan) else f"{value[0]}:{'' if value[1] is None else value[1]}"


@dataclass(frozen=True)
class Concepts(Kind):
    """A pair of concepts (from, to), such as ("ball", "cube"); as text ``ball:cube``."""

    def check(self, name: str, value: Any) -> None:
        pair = isinstance(value, tuple | list) and len(value) == 2
        if not pair or not all(isinstance(word, str) and word.strip() for word in value):
            raise OptionError(f"{name} is {value!r}; accepted is a pair of concepts, such as ('ball', 'cube')")

    def parse(self, name: str, text: str) -> Any:
        before, _, after = text.partition(":")
        return before.strip(), after.strip()

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def dump(self, value: Any) -> Any:
        return list(value)


class Several(Kind):
    """A tuple of values, each of which is stated by a flag of its own. ``parse`` converts one of them at a time."""

    def _texts(self, name: str, value: Any, example: str) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise OptionError(f'{name} is {value!r}; accepted is a list of texts such as "{example}"')
        return value


@dataclass(frozen=True)
class FilePairs(Several):
    """Pairs of a file and something that goes with it (``second``); as text, one ``FILE`` or ``FILE:SECOND`` at a time.

    noun, example: what such a file is, and the text of one, for messages. words: texts that stand for no file, such as
    ("canny",).
    """

    noun: str
    example: str
    words: tuple[str, ...] = ()
    second: ClassVar[str]

    def check(self, name: str, value: Any) -> None:
        for pair in value:
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], str | Path):
                article = "an" if self.noun[0] in "aeiou" else "a"
                raise OptionError(
                    f"{article} {self.noun} is {pair!r}; accepted is a pair of a file and a {self.second}"
                )
            self._check_second(str(pair[0]), pair[1])

    def load(self, name: str, value: Any, folder: Path) -> Any:
        pairs = [self.parse(name, item) for item in self._texts(name, value, self.example)]
        beside = [file if file in self.words else str(folder / Path(file).expanduser()) for file, _ in pairs]
        return tuple((file, second) for file, (_, second) in zip(beside, pairs, strict=True))

    def dump(self, value: Any) -> Any:
        return [
            f"{file if file in self.words else Path(file).absolute()}{self._suffix(second)}" for file, second in value
        ]

    def files(self, value: Any) -> Iterator[Path]:
        yield from (Path(file) for file, _ in value if file not in self.words)

    def _check_second(self, file: str, second: Any) -> None:
        raise NotImplementedError

    def _suffix(self, second: Any) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class WeightedFiles(FilePairs):
    """Pairs (file, strength); the strength is 1 without one. least, most: of the strength."""

    noun: str = "direction"
    example: str = "ball2cube.safetensors:1.2"
    least: float = -1000.0
    most: float = 1000.0
    second: ClassVar[str] = "strength"
    metavar: ClassVar[str] = "FILE[:STRENGTH]"

    def parse(self, name: str, text: str) -> Any:
        file, colon, strength = text.rpartition(":")
        try:
            return (file, float(strength)) if colon and not Path(text).exists() else (text, 1.0)
        except ValueError:
            return text, 1.0  # the colon belongs to the file's name

    def _check_second(self, file: str, second: Any) -> None:
        Real(self.least, self.most).check(f"strength of the {self.noun} {file!r}", second)

    def _suffix(self, second: Any) -> str:
        return f":{second!r}"


@dataclass(frozen=True)
class NamedFiles(FilePairs):
    """Pairs (file, name); the name is "" without one."""

    second: ClassVar[str] = "name"
    metavar: ClassVar[str] = "FILE[:NAME]"

    def parse(self, name: str, text: str) -> Any:
        file, _, named = text.rpartition(":")
        whole = not file or Path(text).exists() or any(sign in named for sign in "/\\")  # as in C:\\files
        return (text, "") if whole else (file, named.strip())

    def _check_second(self, file: str, second: Any) -> None:
        if not isinstance(second, str) or any(sign in second for sign in "():/\\"):
            raise OptionError(f"the {self.noun}'s name is {second!r}; accepted is a text without ( ) : / \\")

    def _suffix(self, second: Any) -> str:
        return second and f":{second}"


@dataclass(frozen=True)
class Files(Several):
    """Paths of files or folders. noun, example: as of FilePairs."""

    noun: str
    example: str
    metavar: ClassVar[str] = "PATH"

    def check(self, name: str, value: Any) -> None:
        for path in value:
            if not isinstance(path, str | Path):
                raise OptionError(f"a {self.noun} is {path!r}; accepted is a path")

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return tuple(str(folder / Path(item).expanduser()) for item in self._texts(name, value, self.example))

    def dump(self, value: Any) -> Any:
        return [str(Path(path).absolute()) for path in value]

    def files(self, value: Any) -> Iterator[Path]:
        yield from map(Path, value)


@dataclass(frozen=True)
class Spans(Several):
    """Pairs of shares of the run, each as in ``Shares``."""

    metavar: ClassVar[str] = "A:B"

    def check(self, name: str, value: Any) -> None:
        for span in value:
            Shares().check(name, span)

    def parse(self, name: str, text: str) -> Any:
        return Shares().parse(name, text)

    def load(self, name: str, value: Any, folder: Path) -> Any:
        return tuple(self.parse(name, item) for item in self._texts(name, value, "0:0.8"))

    def dump(self, value: Any) -> Any:
        return [f"{start!r}:{stop!r}" for start, stop in value]


def _number(name: str, text: str, kind: type[int] | type[float], accepted: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise OptionError(f"{name} is {text!r}; accepted is {accepted}") from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise OptionError(f"{name} is {value!r}; accepted is a text in quotes")
    return value
