"""The sidecar of a result: a JSON file beside it that says how the result was made, so that it can be made again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo.errors import InputError, OptionError, PnPVideoError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.kinds import Several, Shares, Switch
from pnpvideo.option import flag_of
from pnpvideo.publish import write_file
from pnpvideo.settings.options import KNOWN, KNOWN_DEFAULTS, Options

FORMAT = "pnpvideo run 1"
"""Marks a sidecar, and the version of its form."""
MAX_BYTES = 4_000_000
NOT_REPEATED = ("store", "store_limit")
"""Options besides those of the section "output" that belong to one call and change no result."""


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A sidecar that was read. input: the absolute path of the input, None for a generated picture. values: the options
    that were set and decide the result, by flat name. facts: the whole file."""

    path: Path
    input: Path | None
    prompt: str | None
    values: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def output_name(self) -> str:
        """The name of the result, without its folder; a slash at its end says that it is a folder."""
        output = str(self.facts["output"])
        return Path(output).name + "/" * output.endswith("/")


def sidecar_path(output: Path | str) -> Path:
    """``out.mp4.json`` for ``out.mp4``; for a folder of frames ``frames``, ``frames.json`` beside it."""
    return Path(f"{Path(output)}.json")


def settle_sidecar(facts: Mapping[str, Any], options: Options, report: Report) -> None:
    """Write the sidecar of a published result if the options ask for one, else remove that of a former result."""
    if options.runtime.sidecar:
        write_sidecar(facts, options, report)
    else:
        remove_sidecar(facts["output"], report)


def remove_sidecar(output: Path | str, report: Report) -> None:
    """Remove the sidecar of what stood at ``output`` before, as it says how another result was made; no other file."""
    path = sidecar_path(output)
    if not _is_sidecar(path):
        return
    try:
        path.unlink()
        report(Notice(message=f"{printable(str(path))} was the sidecar of the former result, and is removed"))
    except OSError as error:
        report(
            Notice(message=f"{printable(str(path))} is the sidecar of the former result; remove it: {error.strerror}")
        )


def write_sidecar(facts: Mapping[str, Any], options: Options, report: Report) -> None:
    """Write the sidecar of a published result. facts: see ``report.run_report``; options: as the user set them.

    A file of the same name that is no sidecar is replaced only with ``options.overwrite``. Since the result stands
    already, what goes wrong here is a notice and no error.
    """
    path = sidecar_path(facts["output"])
    if path.exists() and not options.overwrite and not _is_sidecar(path):
        how = "replace it with -y (overwrite=True in Python), or leave the sidecar out: --no-sidecar"
        report(Notice(message=f"{path} exists and is no sidecar of a result; it was left as it is: {how}"))
        return
    stated = stated_values(options)
    content = {
        "format": FORMAT,
        "command": command(facts, stated),
        **facts,
        "input_path": None if facts["input"] is None else str(Path(facts["input"]).absolute()),
        "stated": {name: KNOWN[name].kind.dump(value) for name, value in stated.items()},
    }
    try:
        write_file(path, (json.dumps(content, indent=2) + "\n").encode())
    except PnPVideoError as error:
        report(Notice(message=f"the sidecar was not written: {error}"))


def stated_values(options: Options) -> dict[str, Any]:
    """The options that decide a result and that somebody set, by flat name."""
    return {
        name: value
        for name, value in options.flat().items()
        if is_repeated(name) and value is not None and (value != KNOWN_DEFAULTS[name] or name in options.origins)
    }


def command(facts: Mapping[str, Any], stated: Mapping[str, Any]) -> str:
    """A command line that makes the result, whoever set its options: flags, variables, files or a call from Python."""
    change = stated.get("change")
    is_edit = facts["prompt"] is None
    words = ["pnpvideo", "edit" if is_edit else "translate"]
    words += ["--from", change[0], "--to", change[1]] if change else []
    words += ["--student"] if facts.get("student") else []
    named = {"method": facts["options"]["method"], **stated} if is_edit else stated  # edit has a default of its own
    for name, value in named.items():
        words += _flags(name, value)
    words += ["-o", str(facts["output"]), "--"]
    words += [str(word) for word in (facts["input"], facts["prompt"]) if word is not None]
    return shlex.join(words)


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar and check its options. Raises InputError for a file that is none, OptionError for its options."""
    name = printable(str(path))
    facts = _read(path)
    if facts is None:
        raise InputError(f"{name} is no sidecar; accepted is the JSON file that a run writes beside its result")
    try:
        values = {
            key: KNOWN[key].kind.load(key, value, path.absolute().parent)
            for key, value in facts["stated"].items()
            if is_repeated(key)
        }
        Options.from_flat(values)
        input, prompt = facts["input_path"], facts["prompt"]
        if not isinstance(input, str | None) or not isinstance(prompt, str | None):
            raise TypeError("the input or the prompt is no text")
        facts["output"], facts["output_sha256"], facts["resolved"]
    except OptionError as error:
        raise OptionError(f"{name}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is a damaged sidecar: it lacks or misstates {printable(str(error)[:60])}") from error
    return Sidecar(path=path, input=None if input is None else Path(input), prompt=prompt, values=values, facts=facts)


def is_repeated(name: str) -> bool:
    """Whether the option decides a result. An unknown name does, so that reading it is an error."""
    return name not in NOT_REPEATED and (name not in KNOWN or KNOWN[name].section != "output")


def _is_sidecar(path: Path) -> bool:
    try:
        return _read(path) is not None
    except InputError:
        return False


def _read(path: Path) -> dict[str, Any] | None:
    """The JSON object of a sidecar; None for a file that is none. Raises InputError if it cannot be read."""
    try:
        if not path.is_file():
            raise InputError(f"{printable(str(path))} is no file; accepted is a sidecar, such as out.mp4.json")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        found = json.loads(content) if len(content) <= MAX_BYTES else None
    except OSError as error:
        raise InputError(f"{printable(str(path))} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def _flags(name: str, value: Any) -> Iterable[str]:
    """The words that state an option on a command line."""
    spec = KNOWN[name]
    if spec.flag is None:
        return
    flag, dumped = flag_of(name, spec)[-1], spec.kind.dump(value)
    if isinstance(spec.kind, Switch):
        yield from [flag] if value else []
    elif isinstance(spec.kind, Several):
        for each in dumped:
            yield from (flag, each)
    else:
        yield from (flag, ":".join(map(str, dumped)) if isinstance(spec.kind, Shares) else str(dumped))
