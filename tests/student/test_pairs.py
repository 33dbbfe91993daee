import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import DeviceError, InputError
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.student.inputs import Picture
from pnpvideo.student.pairs import Examiner, Filter, Pair, Taught, make_pairs, read_journal

from .conftest import pictures


class Inverting:
    """A teacher that inverts colours, counts its work, and fails on the pictures numbered in ``fails``."""

    def __init__(self, *fails: int) -> None:
        self.fails, self.calls = fails, 0

    def __call__(self, picture: np.ndarray) -> Taught:
        self.calls += 1
        if self.calls - 1 in self.fails:
            raise DeviceError("out of memory")
        return Taught(pixels=255 - picture, text="inverted", source_text="plain")


def inputs(count: int = 4) -> Iterator[Picture]:
    return (Picture(f"{number}.png", pixels) for number, pixels in enumerate(pictures(count)))


def brightness(source: np.ndarray, result: np.ndarray, text: str) -> float:
    return float(result.mean() - source.mean()) / 255


def made(folder: Path, teacher: Inverting, events: list[Event] | None = None, **changes: Any) -> list[Pair]:
    given: dict[str, Any] = {"pictures": inputs(), "recipe": {"model": "m"}, "total": 9, **changes}
    report = (lambda event: None) if events is None else events.append
    return list(
        make_pairs(given["pictures"], teacher, Examiner(brightness), folder, given["recipe"], given["total"], report)
    )


def test_pairs_are_pictures_beside_the_teachers_results(tmp_path: Path) -> None:
    events: list[Event] = []
    pairs = made(tmp_path, Inverting(), events)
    assert [pair.name for pair in pairs] == ["0.png", "1.png", "2.png", "3.png"]
    for pair, pixels in zip(pairs, pictures(4), strict=True):
        with Image.open(tmp_path / pair.source) as source, Image.open(tmp_path / pair.result) as result:
            assert np.array_equal(np.asarray(source), pixels) and np.array_equal(np.asarray(result), 255 - pixels)
        assert pair.gain == pytest.approx(brightness(pixels, 255 - pixels, "")) and pair.text == "inverted"
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4]


def test_no_more_pairs_than_asked(tmp_path: Path) -> None:
    teacher = Inverting()
    assert len(made(tmp_path, teacher, total=2)) == teacher.calls == 2


def test_a_second_run_makes_only_what_is_left(tmp_path: Path) -> None:
    first = made(tmp_path, Inverting(), total=2)
    teacher = Inverting()
    assert made(tmp_path, teacher)[:2] == first and teacher.calls == 2


def test_pairs_of_another_recipe_are_made_anew(tmp_path: Path) -> None:
    made(tmp_path, Inverting())
    teacher = Inverting()
    made(tmp_path, teacher, recipe={"model": "other"})
    assert teacher.calls == 4


@pytest.mark.parametrize("end", [b'{"key": "x", "na', b"\xff\xfe\x00", b"[]"])
def test_a_line_that_a_kill_cut_off_is_made_again(end: bytes, tmp_path: Path) -> None:
    made(tmp_path, Inverting(), total=2)
    journal = tmp_path / "pairs.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + end)
    teacher = Inverting()
    assert len(made(tmp_path, teacher)) == 4 and teacher.calls == 3
    assert len(read_journal(tmp_path)) == 4


def test_a_picture_that_was_removed_is_made_again(tmp_path: Path) -> None:
    (pair, *_) = made(tmp_path, Inverting())
    (tmp_path / pair.result).unlink()
    teacher = Inverting()
    made(tmp_path, teacher)
    assert teacher.calls == 1 and (tmp_path / pair.result).is_file()


def test_pictures_that_the_teacher_cannot_translate_are_said_and_the_others_kept(tmp_path: Path) -> None:
    events: list[Event] = []
    pairs = made(tmp_path, Inverting(1), events)
    assert [pair.name for pair in pairs] == ["0.png", "2.png", "3.png"]
    assert [event.message for event in events if isinstance(event, Notice)] == ["1.png is left out: out of memory"]


def test_a_teacher_that_always_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the pictures \(4 failed\); the last error was: out of memory"):
        made(tmp_path, Inverting(0, 1, 2, 3))
    with pytest.raises(InputError, match="there is no picture to learn from"):
        made(tmp_path, Inverting(), pictures=iter(()))


def pair(gain: float, overlap: float | None = None) -> Pair:
    return Pair(name="a", source="s", result="r", text="t", gain=gain, overlap=overlap)


def test_the_filter_keeps_pairs_that_gain_and_keep_the_place() -> None:
    pairs = [pair(0.2, 0.9), pair(0.05, 0.9), pair(0.2, 0.3), pair(0.2, None)]
    assert Filter(least_gain=0.1).of(pairs) == [pairs[0], pairs[2], pairs[3]]
    assert Filter(least_gain=0.1, least_overlap=0.7).of(pairs) == [pairs[0], pairs[3]]


def test_a_filter_that_leaves_nothing_says_how_far_off_the_best_is() -> None:
    with pytest.raises(InputError, match=r"none of 2 pairs .* at least 0\.1; the best has 0\.050\).*--least-gain"):
        Filter(least_gain=0.1).of([pair(0.05), pair(-1)])


def test_the_journal_is_plain_json(tmp_path: Path) -> None:
    made(tmp_path, Inverting(), total=1)
    (line,) = (tmp_path / "pairs.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["name"] == "0.png"
