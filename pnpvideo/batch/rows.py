"""The rows of a jobs file as translations to be made: globs expanded, options merged and checked one by one."""

from __future__ import annotations

import contextlib
import difflib
import glob
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pnpvideo.batch.jobs_file import Entry, JobsFile, read_jobs
from pnpvideo.errors import InputError, OptionError, OutputError, printable
from pnpvideo.kinds import File, Model, Several, Shares, Text
from pnpvideo.methods.registry import USUAL_EDIT
from pnpvideo.settings.options import KNOWN, Options

OWN = ("input", "prompt", "output", "from", "to")
"""What a row has besides options, as texts."""
MAX_ROWS = 10_000
MAX_MATCHES = 4 * MAX_ROWS
"""Of one pattern: results of an earlier call and what was written beside them match too, and are left out."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One translation, complete and picklable: whatever runs it needs nothing else but the files that it names.

    number: counted from 1, after globs. place: where it stands in the file. input: None for a generated picture.
    prompt: None for an edit.
    """

    number: int
    place: str
    input: Path | None
    prompt: str | None
    output: str
    options: Options

    def begun(self) -> Row:
        """This row once a run of it was begun: what stands at its output is then its own, and may be replaced."""
        return self if self.options.overwrite else replace(self, options=self.options.changed({"overwrite": True}))

    def __str__(self) -> str:
        return f"{self.place}{'' if self.input is None else f' ({printable(self.input.name)})'}"


@dataclass(frozen=True, kw_only=True)
class Common:
    """Options from outside the jobs file, by flat name.

    under: of files of options, which the jobs file overrides. over: of flags and variables, which override it. origins:
    who set them.
    """

    under: Mapping[str, Any] = field(default_factory=dict)
    over: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


def read_rows(path: Path, common: Common, *, anywhere: bool = False) -> list[Row]:
    """All rows of a jobs file. Its relative paths start at its own folder.

    What a row writes is no match of a glob, of its own or of another row's: it was written by an earlier call.
    anywhere: whether paths may leave that folder. Raises OptionError, and InputError for a glob that matches nothing;
    the message names the file and the row.
    """
    jobs = read_jobs(path)
    maker = _Maker(jobs, common, anywhere)
    found: list[Row] = []
    for entry in jobs.entries:
        try:
            found += itertools.islice(maker.rows(entry), MAX_MATCHES + 1 - len(found))
        except (OptionError, InputError) as error:
            raise type(error)(f"{printable(str(path))}: {entry.place}: {error}") from error
        except (RecursionError, ValueError) as error:  # nested too deep, or a number too long, for the message
            raise OptionError(
                f"{printable(str(path))}: {entry.place}: a value that no option takes: {error}"
            ) from error
    written = {each for row in found for each in _written_by(row) if each != row.input}
    rows = [row for row in found if row.place not in maker.globs or row.input not in written]
    if len(found) > MAX_MATCHES or len(rows) > MAX_ROWS:
        raise OptionError(f"{printable(str(path))}: more than {MAX_ROWS:,} rows; split it into several files")
    for place in maker.globs.keys() - {row.place for row in rows}:
        pattern = printable(maker.globs[place])
        raise InputError(
            f"{printable(str(path))}: {place}: input {pattern!r} matches only what rows of this file write; name others"
        )
    return [replace(row, number=number) for number, row in enumerate(rows, 1)]


def _written_by(row: Row) -> Iterator[Path]:
    """The output of a row, and the picture of the unfinished one that stands beside it."""
    from pnpvideo.video.step_picture import step_picture_path

    yield Path(row.output)
    if row.options.runtime.preview_every is not None:
        with contextlib.suppress(OutputError):  # which the checks of each row say
            yield step_picture_path(row.options.runtime.preview_file, row.output, row.input)


class _Maker:
    """Makes rows of the entries of one jobs file."""

    def __init__(self, jobs: JobsFile, common: Common, anywhere: bool) -> None:
        self.jobs, self.common, self.anywhere = jobs, common, anywhere
        self.folder = jobs.path.absolute().parent
        self.globs: dict[str, str] = {}
        """The inputs that are globs, by the place of their entries."""
        try:
            self.defaults = self._loaded(jobs.defaults)
        except OptionError as error:
            raise OptionError(f"{printable(str(jobs.path))}: {error}") from error

    def rows(self, entry: Entry) -> Iterator[Row]:
        """One row for each input that the entry names, all of the number 0."""
        values = self._merged(self._loaded(entry.values))
        options = self._options(values)
        if "output" not in values:
            raise OptionError("there is no output; name the file or folder to write")
        if options.generate and "input" in values:
            raise OptionError("generate draws the guidance picture itself; leave input out")
        for input in [None] if options.generate else self._inputs(values.get("input"), entry.place):
            yield Row(
                number=0,
                place=entry.place,
                input=input,
                prompt=values.get("prompt"),
                output=self._output(values["output"], input),
                options=options,
            )

    def _merged(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row over the defaults. A prompt takes the place of a default change, and a change that of a prompt."""
        edit, prompt = {"from", "to", "change"} & row.keys(), "prompt" in row
        hidden = {"from", "to", "change"} if prompt else {"prompt"} if edit else set()
        values = {**{name: value for name, value in self.defaults.items() if name not in hidden}, **row}
        if ("from" in values) != ("to" in values):
            raise OptionError("give from and to together")
        if "from" in values:
            values["change"] = (values.pop("from"), values.pop("to"))
        if "prompt" in values and "change" in values:
            raise OptionError("give a prompt, or from and to, not both")
        if "prompt" not in values and "change" not in values and not values.get("directions"):
            raise OptionError("there is no prompt; give prompt, or from and to, or directions")
        return values

    def _options(self, values: Mapping[str, Any]) -> Options:
        own, common = {name: value for name, value in values.items() if name in KNOWN}, self.common
        under = dict(common.under)
        if "prompt" not in values:
            under["method"] = USUAL_EDIT  # as `edit` has it: the method of files of options is for translations
        origins = {**common.origins, **dict.fromkeys(own, str(self.jobs.path))}
        origins |= {name: common.origins[name] for name in common.over if name in common.origins}
        if "prompt" not in values and not {"method"} & (own.keys() | common.over.keys()):
            origins["method"] = "default"
        return Options.from_flat({**under, **own, **common.over}, origins)

    def _loaded(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Values of options from those of a file, with paths from its folder. Raises OptionError."""
        values: dict[str, Any] = {}
        for name, value in written.items():
            if name not in KNOWN and name not in OWN:
                near = difflib.get_close_matches(str(name), [*OWN, *KNOWN], 1)
                hint = f"; is it {near[0]!r}?" if near else "; accepted are input, prompt, from, to, output and options"
                raise OptionError(f"unknown key {printable(str(name))!r}{hint}")
            if name in OWN:
                if not isinstance(value, str) or "\0" in value:
                    raise OptionError(f"{name} is {value!r}; accepted is a text")
                values[name] = value
            else:
                values[name] = self._value(name, value)
        return values

    def _value(self, name: str, value: Any) -> Any:
        kind = KNOWN[name].kind
        if self.jobs.texts and not isinstance(kind, File | Model | Text):
            if isinstance(kind, Several):
                value = [value] if isinstance(value, str) else value
            elif isinstance(value, str):
                return kind.parse(name, value)
            elif isinstance(kind, Shares) and isinstance(value, list):
                return kind.parse(name, ":".join(map(str, value)))
        try:
            loaded = kind.load(name, value, self.folder)
        except OptionError as error:
            raise OptionError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error
        if isinstance(kind, File):
            self._check_inside(loaded, name)
        elif isinstance(kind, Several):
            for file in kind.files(loaded):
                self._check_inside(file, name)
        return loaded

    def _inputs(self, written: str | None, place: str) -> Iterator[Path]:
        """The paths that an input names, sorted. Raises InputError for a glob that matches nothing.

        A file NAME.json beside NAME, as sidecars are called, is no match.
        """
        if not written:
            raise OptionError("there is no input; name a clip, a still or a folder of frames, or a glob such as *.mp4")
        literal = self.folder / Path(written).expanduser()
        if glob.escape(written) == written or os.path.lexists(literal):
            self._check_inside(literal, "input")
            yield literal
            return
        if not self.anywhere and (Path(written).is_absolute() or ".." in Path(written).parts):
            raise self._outside(written, "input")
        pattern = os.path.expanduser(written)
        matches = itertools.islice(glob.iglob(pattern, root_dir=self.folder, recursive=True), MAX_MATCHES + 1)
        found = {name for name in matches if not _is_beside(self.folder / name)}
        if not found:
            raise InputError(f"input {printable(written)!r} matches nothing in {printable(str(self.folder))}")
        self.globs[place] = written
        for name in sorted(found):
            self._check_inside(self.folder / name, "input")
            yield self.folder / name

    def _output(self, written: str, input: Path | None) -> str:
        """The path of an output, with ``{stem}``, ``{name}`` and ``{parent}`` of its input filled in."""

        def fill(match: re.Match[str]) -> str:
            if input is None or match[1] not in ("stem", "name", "parent"):
                known = "nothing, as there is no input" if input is None else "{stem}, {name} and {parent} of the input"
                raise OptionError(f"output has {printable(match[0])}; accepted in braces: {known}")
            return str(getattr(input, match[1]))

        filled = re.sub(r"\{([^{}]*)\}", fill, written)
        path = self.folder / Path(filled).expanduser()
        self._check_inside(path, "output")
        return str(path) + ("/" if filled.endswith(("/", os.sep)) else "")

    def _check_inside(self, path: Path, name: str) -> None:
        real, folder = os.path.realpath(path), os.path.realpath(self.folder)
        if not self.anywhere and os.path.commonpath([real, folder]) != folder:
            raise self._outside(str(path), name)

    def _outside(self, path: str, name: str) -> OptionError:
        return OptionError(
            f"{name} {printable(path)!r} leaves the folder of the jobs file; if you trust the file, say so: --anywhere "
            "(anywhere=True in Python)"
        )


def _is_beside(path: Path) -> bool:
    """Whether it is named as the sidecar of something that stands beside it."""
    return path.suffix == ".json" and path.with_suffix("").exists()
