"""A limit on the store: what goes first, and what is never removed."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from pnpvideo.errors import OptionError
from pnpvideo.events import Event, Notice
from pnpvideo.store import EntryInfo, Store, fingerprint

KEYS = [fingerprint(number) for number in range(4)]


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, notices: list[str]) -> Store:
    """Four entries of equal size, used one after the other."""

    def report(event: Event) -> None:
        assert isinstance(event, Notice)
        notices.append(event.message)

    store = Store(tmp_path / "store", report=report)
    for seconds, key in enumerate(KEYS):
        with store.entry("trajectory", key) as entry:
            entry.put("x", {"x": torch.zeros(1000)})
        used(store, key, seconds)
    return store


def used(store: Store, key: str, seconds: int) -> None:
    os.utime(store.root / "trajectory" / key / "manifest.json", (1e9 + seconds, 1e9 + seconds))


def size(store: Store) -> int:
    return sum(info.bytes for info in store.list())


def half(whole: int) -> int:
    """A limit that two of the four entries are within, whose manifests differ by a few digits of their times."""
    return whole // 2 + 200


def keys(store: Store) -> list[str]:
    return [info.key for info in store.list()]


def test_the_least_recently_used_go_first_and_no_more_than_needed(store: Store) -> None:
    whole = size(store)
    assert store.prune(whole) == 0
    used(store, KEYS[0], 10)
    assert store.prune(whole - 1) == 1
    assert keys(store) == [KEYS[2], KEYS[3], KEYS[0]]
    assert store.prune(half(whole)) == 1
    assert keys(store) == [KEYS[3], KEYS[0]]
    assert store.prune(0) == 2
    assert keys(store) == []


def test_entries_in_use_are_kept_and_the_next_go_instead(store: Store, notices: list[str]) -> None:
    whole = size(store)
    with store.entry("trajectory", KEYS[0]):
        used(store, KEYS[0], 0)
        assert store.prune(half(whole)) == 2
        assert keys(store) == [KEYS[0], KEYS[3]] and notices == []
        assert store.prune(100) == 1
    assert keys(store) == [KEYS[0]]
    assert len(notices) == 1 and "more than 100: the rest is in use" in notices[0]


def test_an_entry_that_is_used_after_it_was_listed_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = store.list()
    with store.entry("trajectory", KEYS[0]):
        pass

    def stale(self: Store) -> list[EntryInfo]:
        return listed

    whole = size(store)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "list", stale)
        assert store.prune(half(whole)) == 2
    assert keys(store) == [KEYS[3], KEYS[0]]


def test_damaged_entries_and_those_of_other_versions_can_go(store: Store) -> None:
    (store.root / "trajectory" / KEYS[0] / "manifest.json").write_text("{}")
    used(store, KEYS[0], 0)
    assert store.prune(size(store) - 1) == 1
    assert KEYS[0] not in keys(store)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_an_entry_that_is_a_link_is_left_alone_and_said(store: Store, notices: list[str], tmp_path: Path) -> None:
    (store.root / "trajectory" / KEYS[0]).rename(tmp_path / "elsewhere")
    (store.root / "trajectory" / KEYS[0]).symlink_to(tmp_path / "elsewhere")
    assert store.prune(0) == 3
    assert (tmp_path / "elsewhere" / "manifest.json").exists()
    assert "is a link" in notices[0] and "more than 0" in notices[1]


def test_a_negative_limit_is_refused(store: Store) -> None:
    with pytest.raises(OptionError, match="the limit of the store is -1 bytes; accepted is a size of at least 0"):
        store.prune(-1)
    assert len(keys(store)) == 4


class TestAbout:
    def test_new_entries_carry_the_facts_of_the_store_or_their_own(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store", about={"clip": "a.mp4"})
        for key, about in ((KEYS[0], None), (KEYS[1], {"change": "ball to cube"}), (KEYS[2], {})):
            with store.entry("run", key, about) as entry:
                entry.put("x", {"x": torch.zeros(1)})
        assert {info.key: info.about for info in store.list()} == {
            KEYS[0]: {"clip": "a.mp4"},
            KEYS[1]: {"change": "ball to cube"},
            KEYS[2]: {},
        }

    def test_an_entry_keeps_the_facts_of_the_run_that_made_it(self, tmp_path: Path) -> None:
        for clip in ("a.mp4", "b.mp4"):
            with Store(tmp_path / "store", about={"clip": clip}).entry("run", KEYS[0]) as entry:
                entry.put(clip, {"x": torch.zeros(1)})
        (info,) = Store(tmp_path / "store").list()
        assert info.parts == 2 and info.about == {"clip": "a.mp4"}

    def test_entries_of_an_earlier_version_load_and_get_facts_when_written(self, tmp_path: Path) -> None:
        before = Store(tmp_path / "store")
        with before.entry("run", KEYS[0]) as entry:
            entry.put("x", {"x": torch.ones(1)})
        without_about(before.root / "run" / KEYS[0] / "manifest.json")
        with Store(tmp_path / "store", about={"clip": "a.mp4"}).entry("run", KEYS[0]) as entry:
            assert (found := entry.get("x")) is not None and found[0]["x"] == 1
            assert before.list()[0].about == {} and before.list()[0].usable
            entry.put("y", {"x": torch.ones(1)})
        assert before.list()[0].about == {"clip": "a.mp4"}


def without_about(path: Path) -> None:
    """Rewrite a manifest as earlier versions wrote it."""
    record = json.loads(path.read_text())
    body = json.loads(record["body"])
    del body["about"]
    record["body"] = json.dumps(body)
    record["sha256"] = hashlib.sha256(record["body"].encode()).hexdigest()
    path.write_text(json.dumps(record))
