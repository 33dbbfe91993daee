"""What events look like, on a terminal and off it."""

import io
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pnpvideo.cli.render import JsonLines, Lines, Overall, Pace, percent, rendering, spoken

from pnpvideo.events import Event, Notice, Progress, StepPicture


def step(
    done: int, *, stage: str = "sample", total: int = 4, shot: int = 1, window: int = 1, overall: float | None = None
) -> Progress:
    return Progress(
        stage=stage, done=done, total=total, unit="step", shot=shot, window=window, frames=12, overall=overall
    )


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
    found = [pace.seconds_left(event) for event in (step(1), step(2), step(1, window=2), step(2, window=2))]
    assert found == [None, 4.0, None, 8.0]
    told = shown("plain", io.StringIO(), step(4, window=2))
    assert told == "pnpvideo: shot 1, window 2, sample (12 drawings): step 4 of 4\n"
    drawn = shown("auto", Terminal(), step(4), step(1, window=2))
    assert "window 2, sample" in drawn


def test_each_shot_begins_its_stages_anew() -> None:
    text = shown("plain", io.StringIO(), step(1), step(1, shot=2), step(1, stage="decode", shot=2))
    assert [line.split(" (")[0] for line in text.splitlines()] == [
        "pnpvideo: shot 1, sample",
        "pnpvideo: shot 2, sample",
        "pnpvideo: shot 2, decode",
    ]


def test_what_belongs_to_no_shot_names_none() -> None:
    text = shown("plain", io.StringIO(), Progress(stage="write sentences", done=2, total=0, unit="sentence"))
    assert text == "pnpvideo: write sentences: sentence 2\n"


def test_what_is_one_unit_is_begun_and_ready() -> None:
    """So that something is shown before the first step ends."""
    begun, ready = (Progress(stage="load", done=done, total=1, unit="model") for done in (0, 1))
    assert shown("plain", io.StringIO(), begun, ready) == "pnpvideo: load: model ...\npnpvideo: load: model ready\n"
    assert "load" in shown("auto", Terminal(), begun) and "model ..." in shown("auto", Terminal(), begun)


def test_json_is_one_object_a_line_with_every_field() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream, clock=clock(0.0, 2.0))
    for event in (step(1), step(2), Notice(message="resumed\nat step 3")):
        lines(event)
    first, second, notice = map(json.loads, stream.getvalue().splitlines())
    fields = {"event": "progress", "stage": "sample", "total": 4, "unit": "step", "shot": 1, "window": 1, "frames": 12}
    fields |= {"shots": 0, "overall": None, "overall_seconds_left": None}
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
    text = shown("auto", Terminal(), *(step(4, shot=shot) for shot in range(1, 31)))
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


class TestOverall:
    def test_the_share_and_the_time_left_follow_from_the_work(self) -> None:
        overall = Overall(clock(100.0, 110.0, 130.0, 190.0))
        found = []
        for done, share in ((1, 0.1), (2, 0.2), (4, 0.4), (4, 1.0)):
            overall.update(step(done, overall=share))
            found.append((overall.share, overall.seconds_left))
        assert [share for share, _ in found] == [0.1, 0.2, 0.4, 1.0]
        assert found[0][1] is None
        assert [left for _, left in found[1:]] == pytest.approx([80.0, 60.0, 0.0])

    def test_what_an_earlier_run_left_does_not_count_for_the_speed(self) -> None:
        """The inversion comes from the store: sampling begins at two fifths."""
        overall = Overall(clock(0.0, 1.0, 3.0))
        overall.update(step(1, stage="encode", overall=0.01))
        overall.update(step(0, overall=0.4))
        assert overall.share == 0.4 and overall.seconds_left is None
        overall.update(step(1, overall=0.55))
        assert overall.seconds_left == pytest.approx(3.0 / 0.15 * 0.45)

    def test_the_share_never_falls_and_never_exceeds_one(self) -> None:
        overall = Overall(clock(0.0, 1.0, 2.0, 3.0))
        shares = []
        for share in (0.5, 0.4, 0.6, 1.7):
            overall.update(step(1, overall=share))
            shares.append(overall.share)
        assert shares == [0.5, 0.5, 0.6, 1.0]

    def test_events_that_do_not_tell_change_nothing(self) -> None:
        overall = Overall(clock())
        overall.update(step(1))
        assert (overall.share, overall.seconds_left) == (None, None)

    def test_lines_say_it_after_what_they_say_of_the_stage(self) -> None:
        stream = io.StringIO()
        lines = Lines(stream, clock=clock(*(float(at) for at in (0, 60) for _ in range(3))))
        lines(step(1, total=3, overall=0.25))
        lines(step(2, total=3, overall=0.5))
        assert stream.getvalue().splitlines() == [
            "pnpvideo: shot 1, sample (12 drawings): step 1 of 3; of the whole 25%",
            "pnpvideo: shot 1, sample (12 drawings): step 2 of 3, 60 s left; of the whole 50%, 2 min left",
        ]

    def test_json_has_it_in_two_fields(self) -> None:
        stream = io.StringIO()
        lines = JsonLines(stream, clock=clock(0.0, 0.0, 5.0, 5.0))
        lines(step(1, overall=0.25))
        lines(step(2, overall=0.5))
        first, second = map(json.loads, stream.getvalue().splitlines())
        assert (first["overall"], first["overall_seconds_left"]) == (0.25, None)
        assert (second["overall"], second["overall_seconds_left"]) == (0.5, 10.0)

    def test_one_bar_stands_for_it_and_stays_above_the_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "120")
        stream = Terminal()
        with rendering("auto", quiet=False, stream=stream) as report:
            report(step(2, overall=0.5))
            report(step(4, overall=1.0))
        report(Notice(message="wrote out.mp4"))
        final = stream.getvalue().rsplit("\x1b[2K", 1)[-1]
        assert "the whole" in final and "100%" in final and "sample" not in final
        assert final.rstrip().endswith("wrote out.mp4")


def test_a_shot_is_told_with_their_number_where_it_is_known() -> None:
    event = Progress(stage="sample", done=1, total=4, unit="step", shot=2, window=3, shots=5)
    assert shown("plain", io.StringIO(), event) == "pnpvideo: shot 2 of 5, window 3, sample: step 1 of 4\n"


@pytest.mark.parametrize(("share", "said"), [(0.0, "0%"), (0.346, "34%"), (0.999, "99%"), (1.0, "100%")])
def test_all_is_100_percent_and_nothing_less(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (95, "2 min"), (5000, "83 min"), (12_000, "3 h 20 min")]
)
def test_times_are_spoken(seconds: float, said: str) -> None:
    assert spoken(seconds) == said


@pytest.mark.parametrize(("total", "said"), [(4_265_000_000, "1.2 GB of 4.3 GB"), (0, "1.2 GB")])
def test_a_download_is_told_in_bytes(total: int, said: str) -> None:
    event = Progress(stage="download", done=1_234_000_000, total=total, unit="byte")
    assert shown("plain", io.StringIO(), event) == f"pnpvideo: download: {said}\n"


@pytest.mark.parametrize("mode", ["plain", "json", "none"])
def test_pictures_are_not_shown(mode: str) -> None:
    stream = io.StringIO()
    picture = StepPicture(picture=np.zeros((2, 2, 3), np.uint8), step=1, steps=2, shot=1, window=1, seconds=0.0)
    with rendering(mode, quiet=False, stream=stream) as report:
        report(picture)
    assert stream.getvalue() == ""
