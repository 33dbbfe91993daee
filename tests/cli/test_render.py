"""What events look like, on a terminal and off it."""

import io
import json
from collections.abc import Callable, Iterator

import pytest
from pnpvideo.cli.render import JsonLines, Lines, Pace, rendering

from pnpvideo.events import Event, Notice, Progress


def step(done: int, *, stage: str = "sample", total: int = 4, shot: int = 0, window: int = 0) -> Progress:
    return Progress(stage=stage, done=done, total=total, unit="step", shot=shot, window=window, frames=12)


def clock(*seconds: float) -> Callable[[], float]:
    times: Iterator[float] = iter(seconds)
    return lambda: next(times)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(mode: str, stream: io.StringIO, *events: Event, quiet: bool = False) -> str:
    with rendering(mode, quiet=quiet, stream=stream) as report:
        for event in events:
            report(event)
    return stream.getvalue()


def test_time_left_follows_from_the_pace_of_the_stage() -> None:
    pace = Pace(clock(100.0, 102.0, 110.0, 50.0))
    assert pace.seconds_left(step(10, total=50)) is None, "a resumed stage has no pace yet"
    assert pace.seconds_left(step(11, total=50)) == 2.0 * 39
    assert pace.seconds_left(step(15, total=50)) == 2.0 * 35
    assert pace.seconds_left(step(1, stage="decode")) is None


def test_an_unknown_total_has_no_time_left() -> None:
    pace = Pace(clock(0.0, 1.0))
    assert pace.seconds_left(step(1, total=0)) is None
    assert pace.seconds_left(step(2, total=0)) is None


def test_lines_come_at_the_ends_of_a_stage_and_every_five_seconds() -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock(*(second for at in (0, 1, 6, 7, 9) for second in (at, at))))
    for event in (step(1, total=5), step(2, total=5), step(3, total=5), step(4, total=5), step(5, total=5)):
        lines(event)
    assert stream.getvalue().splitlines() == [
        "pnpvideo: shot 1, sample (12 drawings): step 1 of 5",
        "pnpvideo: shot 1, sample (12 drawings): step 3 of 5, 6 s left",
        "pnpvideo: shot 1, sample (12 drawings): step 5 of 5",
    ]


def test_each_window_of_a_long_shot_begins_its_stages_anew() -> None:
    pace = Pace(clock(0.0, 2.0, 3.0, 7.0))
    found = [pace.seconds_left(event) for event in (step(1), step(2), step(1, window=1), step(2, window=1))]
    assert found == [None, 4.0, None, 8.0]
    told = shown("plain", io.StringIO(), step(4, window=1))
    assert told == "pnpvideo: shot 1, window 2, sample (12 drawings): step 4 of 4\n"
    drawn = shown("auto", Terminal(), step(4), step(1, window=1))
    assert "window 2, sample" in drawn


def test_each_shot_begins_its_stages_anew() -> None:
    text = shown("plain", io.StringIO(), step(1), step(1, shot=1), step(1, stage="decode", shot=1))
    assert [line.split(" (")[0] for line in text.splitlines()] == [
        "pnpvideo: shot 1, sample",
        "pnpvideo: shot 2, sample",
        "pnpvideo: shot 2, decode",
    ]


def test_loading_belongs_to_no_shot() -> None:
    text = shown("plain", io.StringIO(), Progress(stage="load", done=0, total=0, unit="frame"))
    assert text == "pnpvideo: load: frame 0\n"


def test_json_is_one_object_a_line_with_every_field() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream, clock=clock(0.0, 2.0))
    for event in (step(1), step(2), Notice(message="resumed\nat step 3")):
        lines(event)
    first, second, notice = map(json.loads, stream.getvalue().splitlines())
    fields = {"event": "progress", "stage": "sample", "total": 4, "unit": "step", "shot": 0, "window": 0, "frames": 12}
    assert first == {**fields, "done": 1, "seconds_left": None}
    assert second == {**fields, "done": 2, "seconds_left": 4.0}
    assert notice == {"event": "notice", "message": "resumed\nat step 3"}


@pytest.mark.parametrize("mode", ["auto", "plain", "json", "none"])
def test_quiet_shows_nothing(mode: str) -> None:
    assert shown(mode, Terminal(), step(1), Notice(message="something"), quiet=True) == ""


def test_none_still_shows_notices() -> None:
    assert shown("none", io.StringIO(), step(1), Notice(message="something")) == "pnpvideo: something\n"


def test_away_from_a_terminal_auto_means_plain_lines() -> None:
    assert shown("auto", io.StringIO(), step(4)) == "pnpvideo: shot 1, sample (12 drawings): step 4 of 4\n"


def test_on_a_terminal_auto_means_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown("auto", Terminal(), step(2), step(4), Notice(message="[bold]kept as it is[/bold]"))
    assert "━" in text and "\x1b[3" in text
    assert "shot 1, sample (12 drawings)" in text and "step 4 of 4" in text
    assert "[bold]kept as it is[/bold]" in text


def test_bars_of_finished_shots_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    text = shown("auto", Terminal(), *(step(4, shot=shot) for shot in range(30)))
    final = text.rsplit("\x1b[2K", 1)[-1]
    assert "shot 30, sample" in final and "shot 29, sample" not in final


def test_no_color_takes_the_colours_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown("auto", Terminal(), step(2), step(4))
    assert "step 4 of 4" in text and "\x1b[3" not in text and "38;5" not in text


@pytest.mark.parametrize("mode", ["auto", "plain", "none"])
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_notice_cannot_drive_the_terminal(mode: str, stream: type[io.StringIO]) -> None:
    text = shown(mode, stream(), Notice(message="title: \x1b]0;owned\x07\x9b2J"))
    assert "\x1b]" not in text and "\x07" not in text and "\x9b" not in text
    assert r"\x1b]0;owned\x07\x9b2J" in text.replace("\n", "")
