"""A worker is given rows of the model that it has; another model where most rows wait for each worker."""

from pathlib import Path

from pnpvideo.batch.backlog import Backlog
from pnpvideo.batch.rows import Row
from pnpvideo.settings.options import Options


def row(number: int, model: str) -> Row:
    options = Options.from_flat({"model": model})
    return Row(number=number, place=f"row {number}", input=Path("in"), prompt="a fox", output="out", options=options)


def taken(backlog: Backlog, loaded: str | None, others: list[str]) -> int | None:
    keys = [Options.from_flat({"model": model}).model_key for model in others]
    found = backlog.take(None if loaded is None else Options.from_flat({"model": loaded}).model_key, keys)
    return None if found is None else found.number


def test_a_worker_stays_with_its_model_as_long_as_there_are_rows() -> None:
    backlog = Backlog([row(1, "a"), row(2, "b"), row(3, "a"), row(4, "b")])
    assert [taken(backlog, "b", []) for _ in range(4)] == [2, 4, 1, 3]
    assert taken(backlog, "b", []) is None and len(backlog) == 0


def test_a_worker_without_rows_takes_the_model_that_needs_it_most() -> None:
    backlog = Backlog([row(number, "a") for number in range(1, 5)] + [row(5, "b"), row(6, "b"), row(7, "b")])
    assert taken(backlog, None, []) == 1  # three of each are left
    assert taken(backlog, None, ["a"]) == 5
    assert taken(backlog, "c", ["a", "b"]) == 2


def test_a_row_that_is_put_back_comes_before_the_others_of_its_model() -> None:
    backlog = Backlog([row(1, "a"), row(2, "a")])
    first = backlog.take(None, [])
    assert first is not None and first.number == 1
    backlog.put_back(first)
    assert len(backlog) == 2 and taken(backlog, None, []) == 1
