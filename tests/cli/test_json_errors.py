"""Errors where a program reads the events: objects on standard error, one a line."""

import json
import signal
from pathlib import Path

import pytest
from pnpvideo.cli.main import main
from pnpvideo.cli.verbosity import asks_for_json

from pnpvideo import errors
from pnpvideo.events import Notice, Progress, Report

from .conftest import Engine
from .test_main import STAND_IN, WORKING, start

Output = pytest.CaptureFixture[str]
COMMAND = ["translate", "in.mp4", "a prompt", "-o", "out.mp4"]
AS_JSON = [*COMMAND, "--progress", "json"]


def only_object(text: str) -> dict[str, object]:
    """The last object, before which nothing but progress is told."""
    *begun, found = map(json.loads, text.splitlines())
    assert all(event["event"] == "progress" for event in begun)
    last: dict[str, object] = found
    return last


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.OptionError("steps is 0"), 2),
        (errors.DecodeError("ends early"), 3),
        (errors.NoMatchingSite("no such layer"), 4),
        (errors.NotFiniteError("NaN"), 5),
        (errors.EncodeError("ffmpeg\x1b[2J"), 6),
        (errors.StoreError("is locked"), 1),
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"], ["-q"]])
def test_an_error_is_an_event_with_its_class_and_exit_code(
    engine: Engine, capsys: Output, error: errors.PnPVideoError, code: int, more: list[str]
) -> None:
    def work(report: Report) -> None:
        raise error

    engine.work = work
    assert main([*AS_JSON, *more]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert only_object(said.err) == {
        **{"event": "error", "error": type(error).__name__, "exit_code": code, "message": str(error)}
    }


def test_every_line_of_a_run_that_fails_is_an_object(engine: Engine, capsys: Output) -> None:
    def work(report: Report) -> None:
        report(Notice(message="reading"))
        report(Progress(stage="sample", done=1, total=2, unit="step"))
        raise errors.DeviceError("out of memory\nindeed")

    engine.work = work
    assert main([*AS_JSON, "--json", "-v"]) == 5
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events] == ["progress", "notice", "progress", "error"]
    assert events[-1]["message"] == "out of memory\nindeed" and "Traceback" in events[-1]["traceback"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([*AS_JSON, "--stepz", "5"], "--stepz"),
        (["translate", "in.mp4", "--progress=json"], "give INPUT and PROMPT"),
        ([*COMMAND, "--steps", "many", "--progress", "json"], "--steps"),
        ([*AS_JSON, "--method", "magic"], "--method"),
        (["unknown", "--progress", "json"], "unknown"),
        (["translate", "in.mp4", "a prompt", "--progress", "json"], "--output"),
        (["edit", "in.mp4", "--progress", "json", "-o", "a.mp4"], "--from"),
        (["plan", "--progress", "json"], "INPUT"),
    ],
)
def test_a_usage_error_is_an_event_too(capsys: Output, words: list[str], complaint: str) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    found = only_object(said.err)
    assert said.out == "" and complaint in str(found["message"])
    assert (found["event"], found["error"], found["exit_code"]) == ("error", "UsageError", 2)


def test_the_variable_asks_for_it_as_the_flag_does(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("PNPVIDEO_PROGRESS", "json")
    assert main(COMMAND) == 3
    assert only_object(capsys.readouterr().err)["error"] == "InputError"
    assert main([*COMMAND, "--progress", "plain"]) == 3
    assert capsys.readouterr().err.startswith("pnpvideo: in.mp4 does not exist")


@pytest.mark.parametrize("more", [[], ["--json"], ["--progress", "plain"], ["--progress", "none", "--json"]])
def test_otherwise_an_error_is_a_line_of_text(capsys: Output, more: list[str]) -> None:
    assert main([*COMMAND, *more]) == 3
    assert capsys.readouterr().err.startswith("pnpvideo: in.mp4 does not exist")
    assert main([*COMMAND, *more, "--stepz"]) == 2
    assert capsys.readouterr().err.startswith("Usage: pnpvideo")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["translate", "--progress", "json"], True),
        (["translate", "--progress=json", "--unknown"], True),
        (["translate", "--progress", "plain", "--progress", "json"], True),
        (["translate", "--progress", "json", "--progress", "plain"], False),
        (["translate", "--", "--progress", "json"], False),
        (["translate", "--progress"], False),
        (["probe", "--json"], False),
    ],
)
def test_what_is_asked_is_known_without_parsing(words: list[str], asked: bool) -> None:
    assert asks_for_json(words) is asked


def test_a_signal_and_a_fault_of_ours_are_events_too(tmp_path: Path) -> None:
    child = start(STAND_IN.format(work=WORKING), "--progress", "json")
    assert child.stdout is not None and child.stdout.readline() == "working\n"
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate()
    last = json.loads(said.splitlines()[-1])
    assert (last["event"], last["error"], last["exit_code"], child.returncode) == ("error", "SIGTERM", 143, 143)
    assert "goes on from what was kept" in last["message"]
    child = start(STAND_IN.format(work="raise KeyError('a bug')"), "--progress", "json", "-v")
    _, said = child.communicate()
    found = only_object(said)
    assert (found["error"], found["exit_code"], child.returncode) == ("KeyError", 1, 1)
    assert "a bug" in str(found["message"]) and "Traceback" in str(found["traceback"])
