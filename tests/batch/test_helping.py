"""Windows of one row in several processes: claimed once each, the bits of one process, whoever ends in the middle."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.batch.helping import help_with, with_helpers
from pnpvideo.batch.rows import Row
from pnpvideo.engine.sharing import Stopped
from pnpvideo.errors import PnPVideoError
from pnpvideo.events import Event, Notice, Progress, Report, ignore
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.store import Store

SECONDS = 60.0
"""That a thread is waited for, before the test fails."""


class Scene:
    """A row whose clip is one shot of three windows. ``other``: the backend of a second process, here a thread."""

    def __init__(self, folder: Path, clip: Path, backend: StableDiffusion, options: Options) -> None:
        self.folder, self.backend = folder, backend
        self.row = Row(
            number=1, place="row 1", input=clip, prompt="a fox", output=str(folder / "out.mp4"), options=options
        )
        self.other = StableDiffusion(options.model, torch.device("cpu"), torch.float32)

    def alone(self) -> bytes:
        """What one process makes, without the store of the others."""
        options = self.row.options.changed({"store": self.folder / "alone"})
        output = self.folder / "alone.mp4"
        return translate(self.row.input, "a fox", output, options, backend=self.backend).output.read_bytes()

    def write(self, report: Report = ignore) -> bytes:
        """What the process makes that has helpers."""
        windows = with_helpers(self.row, self.backend, report)
        row = self.row
        made = translate(
            row.input, "a fox", row.output, row.options, backend=self.backend, report=report, windows=windows
        )
        return made.output.read_bytes()

    def helper(self, report: Report = ignore, check: Callable[[], None] = lambda: None) -> threading.Thread:
        return threading.Thread(target=help_with, args=(self.row, self.other, report, check))


@pytest.fixture
def scene(
    tmp_path: Path, clip_of: Callable[..., Path], backend: StableDiffusion, options: Callable[..., Options]
) -> Callable[..., Scene]:
    def make(**values: Any) -> Scene:
        usual = {"window": 2, "keyframe_every": 2, "sidecar": False}
        return Scene(tmp_path, clip_of(7, 48, 32), backend, options(**usual, **values))

    return make


def sampled(events: list[Event]) -> list[int]:
    """The windows of which the events report sampling, in order."""
    return [event.window for event in events if isinstance(event, Progress) and event.stage == "sample"]


def at(event: Event, window: int, stage: str, done: int | None = None) -> bool:
    found = isinstance(event, Progress) and (event.window, event.stage) == (window, stage)
    return found and (done is None or event.done == done)  # type: ignore[union-attr]


def test_windows_that_others_finished_are_only_written(scene: Callable[..., Scene], calls: list[int]) -> None:
    one = scene()
    expected = one.alone()
    heard: list[Event] = []
    help_with(one.row, one.backend, heard.append)
    shares = [event.overall or 0.0 for event in heard if isinstance(event, Progress)]
    assert max(shares) == pytest.approx(1.0, abs=0.1)
    done, events = len(calls), list[Event]()
    assert one.write(events.append) == expected and len(calls) == done
    assert not any(isinstance(event, Notice) for event in events)
    assert not any(isinstance(event, Progress) and event.stage == "decode" for event in events)
    assert not [info for info in Store(one.row.options.runtime.store).list() if info.kind == "run"]


@pytest.mark.parametrize(
    "values",
    [{}, {"method": "sdedit", "mask": "mask.png"}, {"coherence": "none"}],
    ids=["pnp", "sdedit with a mask", "none"],
)
def test_whoever_goes_on_needs_only_the_store(
    values: dict[str, Any], scene: Callable[..., Scene], tmp_path: Path
) -> None:
    """Each window by another process: what it needs of those before it, it reads."""
    if "mask" in values:
        Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (64, 1))).save(tmp_path / "mask.png")
        values = {**values, "mask": tmp_path / "mask.png"}
    one = scene(**values)
    expected, events = one.alone(), list[Event]()

    def ended_after_a_window(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "sample" and event.done == event.total:
            raise Stopped

    for _ in range(2):
        help_with(one.row, one.backend, ended_after_a_window)
    assert one.write(events.append) == expected
    assert {*sampled(events)} == {3}


def test_a_window_is_begun_while_the_one_before_it_is_under_way(scene: Callable[..., Scene]) -> None:
    one = scene()
    expected, began = one.alone(), threading.Event()
    helper = one.helper(lambda event: began.set() if at(event, 2, "sample") else None)

    def first(event: Event) -> None:
        if at(event, 1, "sample", 0):
            helper.start()
        if at(event, 1, "sample", 2):
            assert began.wait(SECONDS)

    assert one.write(first) == expected
    helper.join(SECONDS)
    assert began.is_set() and not helper.is_alive()


def test_who_writes_the_result_helps_while_another_works_on_its_next_window(scene: Callable[..., Scene]) -> None:
    one = scene()
    expected, began, go_on = one.alone(), threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        if at(event, 1, "encode"):
            began.set()
            assert go_on.wait(SECONDS)

    def heard(event: Event) -> None:
        events.append(event)
        go_on.set()

    helper, events = one.helper(slow), list[Event]()
    helper.start()
    assert began.wait(SECONDS)
    assert one.write(lambda event: heard(event) if isinstance(event, Progress) and event.window else None) == expected
    helper.join(SECONDS)
    encoded = [event.window for event in events if isinstance(event, Progress) and event.stage == "encode"]
    assert encoded[0] == 2 and 1 not in encoded


def test_a_window_whose_process_ended_is_done_by_another(scene: Callable[..., Scene]) -> None:
    """Another process waits for a window, finds it abandoned, and does it and all the others."""
    one = scene()
    expected, heard, waits = one.alone(), list[Event](), threading.Event()

    def listen(event: Event) -> None:
        heard.append(event)
        if at(event, 2, "sample"):
            waits.set()

    helper = one.helper(listen)

    def killed(event: Event) -> None:
        if at(event, 1, "sample", 0):
            helper.start()
            assert waits.wait(SECONDS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.write(killed)
    helper.join(SECONDS)
    windows = sampled(heard)
    assert windows[0] == 2 and {*windows} == {1, 2, 3}
    assert one.write() == expected


def test_waiting_ends_when_nobody_wants_the_work(scene: Callable[..., Scene]) -> None:
    one = scene()
    unwanted = threading.Event()

    def check() -> None:
        if unwanted.is_set():
            raise Stopped

    helper = one.helper(check=check)

    def first(event: Event) -> None:
        if at(event, 1, "invert", 0):
            helper.start()
            helper.join(0.3)  # it waits for this window, or is about to
            unwanted.set()
            helper.join(SECONDS)
            assert not helper.is_alive()

    one.write(first)


def test_what_is_wrong_is_said_by_the_process_that_writes(scene: Callable[..., Scene]) -> None:
    one = scene()
    assert one.row.input is not None
    content = one.row.input.read_bytes()
    one.row.input.write_bytes(content[: len(content) // 2])
    help_with(one.row, one.backend)
    said = []
    for make in (one.alone, one.write):
        with pytest.raises(PnPVideoError) as error:
            make()
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_generated_picture_needs_no_help(scene: Callable[..., Scene]) -> None:
    one = scene()
    options = one.row.options.changed({"generate": True, "source_prompt": "a hen"})
    help_with(replace(one.row, input=None, options=options), one.backend)
    assert Store(options.runtime.store).list() == []
