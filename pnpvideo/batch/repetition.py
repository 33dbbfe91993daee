"""Make a result again from its sidecar, and say whether it is the same bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo.early import check_run
from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.events import Report, ignore
from pnpvideo.kinds import File, FilePairs, Files, Model
from pnpvideo.scratch import scratch_folder
from pnpvideo.settings.options import KNOWN, Options
from pnpvideo.sidecar import Sidecar, is_repeated, read_sidecar


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """A result that was made again. output: where it is, None if it was made in a temporary place. same: whether it has
    the same bytes as the first one. differences: what was other than then, one sentence each."""

    output: Path | None
    same: bool
    output_sha256: str
    differences: tuple[str, ...]


def again(
    sidecar: Path | str,
    output: Path | str | None = None,
    *,
    input: Path | str | None = None,
    values: Mapping[str, Any] | None = None,
    report: Report = ignore,
) -> Repetition:
    """Make the result of ``sidecar`` again, in ``output`` or in a temporary place, and compare it.

    input: where the input lies now; None: where it was, else under its name beside the sidecar. values: options that
    are to be other than in the sidecar, by flat name, such as ``{"device": "cpu"}``. Raises PnPVideoError as
    ``translate`` does.
    """
    read, values = read_sidecar(Path(sidecar)), values or {}
    origins = {**dict.fromkeys(read.values, str(sidecar)), **dict.fromkeys(values, "call")}
    options = Options.from_flat({**read.values, **values}, origins)
    source = _find_input(read, input)
    if output is not None:
        return _repeat(read, source, _checked(output, read), options, report)
    with scratch_folder() as folder:
        made = _repeat(read, source, f"{folder}/{read.output_name}", options.changed({"sidecar": False}), report)
    return Repetition(output=None, same=made.same, output_sha256=made.output_sha256, differences=made.differences)


def _repeat(read: Sidecar, source: Path | None, output: Path | str, options: Options, report: Report) -> Repetition:
    check_run(source, read.prompt, output, options)
    from pnpvideo.pipeline import translate

    if read.facts.get("student") and source is not None:
        from pnpvideo.student.clip import translate_clip

        facts = translate_clip(source, read.prompt, output, options, report=report).report
    else:
        facts = translate(source, read.prompt, output, options, report=report).report
    return Repetition(
        output=Path(facts["output"]),
        same=facts["output_sha256"] == read.facts["output_sha256"],
        output_sha256=facts["output_sha256"],
        differences=tuple(_differences(read.facts, facts)),
    )


def _find_input(read: Sidecar, input: Path | str | None) -> Path | None:
    """Raises InputError where there is no input at any of its places."""
    if read.input is None or input is not None:
        return None if read.input is None else Path(str(input))
    beside = read.path.absolute().parent / read.input.name
    found = next((path for path in (read.input, beside) if path.exists()), None)
    if found is None:
        raise InputError(
            f"{printable(str(read.path))}: the input {printable(str(read.input))} is not there, nor is "
            f"{printable(read.input.name)} beside the sidecar; say where it is with --input"
        )
    return found


def _checked(output: Path | str, read: Sidecar) -> Path | str:
    """Raises OptionError for an output of another format, which could not be the same."""
    before, now = ("" if str(name).endswith("/") else Path(name).suffix.lower() for name in (read.output_name, output))
    if now != before:
        raise OptionError(
            f"{printable(str(output))} is of another format than the result, {printable(read.output_name)}; "
            f"name an output {f'that ends in {printable(before)}' if before else 'without an extension'}"
        )
    return output


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What may have made a result another one: input, files, model, options, versions, machine."""
    if before.get("input_sha256") != after["input_sha256"]:
        yield f"the input {printable(str(after['input']))} has other contents than then"
    if sorted(_table(before, "files_sha256").values()) != sorted(after["files_sha256"].values()):
        yield "the mask, a direction, the captioner, a control or a ControlNet has other contents than then"
    if before.get("model_fingerprint") != after["model_fingerprint"]:
        yield "the model has other weights or configs than then"
    for what in ("resolved", "versions", "machine"):
        then, now = _table(before, what), after[what]
        for name in now:
            if not _is_aside(name) and _differs(name, then.get(name), now[name]):
                yield f"{name} was {printable(str(then.get(name)))} and is {printable(str(now[name]))}"


def _table(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = facts.get(name)
    return table if isinstance(table, dict) else {}


def _is_aside(name: str) -> bool:
    """Whether it names an option that changes no result, or the model, whose fingerprint is compared instead."""
    return name == "model" or (name in KNOWN and not is_repeated(name))


def _differs(name: str, then: Any, now: Any) -> bool:
    """Whether an option or version is another one than then; of files, their contents are compared elsewhere.

    Of a file with a scale the scale is compared, and of a model its name on the hub.
    """
    kind = KNOWN[name].kind if name in KNOWN else None
    if isinstance(kind, File | Files) or (isinstance(kind, Model) and now is not None and any(kind.files(now))):
        return False
    if isinstance(kind, FilePairs):
        return _without_files(kind, then) != _without_files(kind, now)
    return bool(then != now)


def _without_files(kind: FilePairs, value: Any) -> list[Any]:
    pairs = value if isinstance(value, list) else []
    return [pair[1:] if isinstance(pair, list) and pair and pair[0] not in kind.words else pair for pair in pairs]
