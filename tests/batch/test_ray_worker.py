"""A worker in this process: it tells how its row goes on, then the outcome."""

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pnpvideo.batch.ray_worker import Helped, Worker
from pnpvideo.batch.reach import Reach
from pnpvideo.batch.rows import Common, Row, read_rows
from pnpvideo.batch.work import Outcome
from pnpvideo.events import Event, Progress
from pnpvideo.settings.options import Options


def outcome(worker: Worker, row: Row) -> tuple[list[Event], Outcome]:
    worker.begin(row)
    heard: list[Event] = []
    while True:
        events, found = worker.news()
        heard += events
        if found is not None:
            assert isinstance(found, Outcome)
            return heard, found


def test_rows_are_told_event_by_event(
    folder: Path, jobs: Callable[[str], Path], common: Common, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(folder)
    rows = read_rows(jobs('[[rows]]\ninput = "in/0[01].png"\n'), common)
    worker = Worker(os.getcwd(), torch.get_num_threads())
    told = [outcome(worker, row) for row in rows]
    assert [found.state for _, found in told] == ["done", "done"]
    assert any(isinstance(event, Progress) and event.overall == 1.0 for event in told[1][0])


def test_a_worker_helps_with_windows_until_nobody_wants_them(
    tmp_path: Path, clip_of: Callable[..., Path], options: Callable[..., Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    values = options(window=4, steps=1)
    row = Row(number=1, place="row 1", input=clip_of(11), prompt="a fox", output="out.mp4", options=values)
    worker = Worker(os.getcwd(), torch.get_num_threads())
    worker.help(row)
    events: list[Event] = []
    end = None
    while end is None:
        said, end = worker.news()
        events += said
        if any(isinstance(event, Progress) and event.stage == "sample" for event in events):
            worker.stop_helping()
    assert end == Helped() and not (tmp_path / "out.mp4").exists()
    assert {event.window for event in events if isinstance(event, Progress)} == {1}  # it did not go on to the next
    _, found = outcome(worker, row)
    assert found.state == "done"


def test_a_worker_says_where_it_is_and_what_it_has_and_does_not_see(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(folder)
    hello = Worker(str(folder / "none"), 1).hello(Reach((("nothing.png", 3),), ()))
    assert hello.host and hello.unseen == ("nothing.png",)
    assert hello.versions["torch"] == importlib.metadata.version("torch")
    assert Path.cwd() == folder  # a folder that is not there changes nothing
