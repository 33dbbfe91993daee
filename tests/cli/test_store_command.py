"""pnpvideo store: what is listed, what is cleared, and where the store is looked for."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
import torch
from pnpvideo.cli.main import main

from pnpvideo.store import Store, fingerprint

Output = pytest.CaptureFixture[str]
FIRST, SECOND = fingerprint(1), fingerprint(2)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store(tmp_path / "store")
    monkeypatch.setenv("PNPVIDEO_STORE", str(store.root))
    for kind, key in (("trajectory", FIRST), ("run", FIRST), ("run", SECOND)):
        with store.entry(kind, key) as entry:
            entry.put("x", {"x": torch.zeros(1000)})
    return store


def test_list_as_json(store: Store, capsys: Output) -> None:
    assert main(["store", "list", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["root"] == str(store.root)
    assert said["bytes"] == sum(entry["bytes"] for entry in said["entries"]) > 12_000
    assert {(entry["kind"], entry["key"], entry["parts"]) for entry in said["entries"]} == {
        ("trajectory", FIRST, 1),
        ("run", FIRST, 1),
        ("run", SECOND, 1),
    }


def test_list_for_a_person(store: Store, capsys: Output) -> None:
    (store.root / "run" / FIRST / "manifest.json").write_text("{}")
    assert main(["store", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[-1].startswith("3 entries, 0.0 MB, in ")
    assert [line for line in lines if "damaged" in line and FIRST[:12] in line and line.startswith("run")]


def test_list_says_what_an_entry_is_of(store: Store, capsys: Output) -> None:
    store.about = {"clip": "b\x1b[31mall.mp4", "model": "miniature", "size": "256 x 144"}
    with store.entry("run", fingerprint(3)) as entry:
        entry.put("x", {"x": torch.zeros(1)})
    with store.entry("direction", fingerprint(4), {"change": "ball to cube", "model": "sd15"}) as entry:
        entry.put("x", {"x": torch.zeros(1)})
    assert main(["store", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    made = re.escape(f"{datetime.now():%Y-%m-%d}") + r" \d\d:\d\d"
    (run,) = [line for line in lines if fingerprint(3)[:12] in line]
    (direction,) = [line for line in lines if fingerprint(4)[:12] in line]
    assert re.search(rf"0\.0 MB  made {made}, used {made}  b\\x1b\[31mall\.mp4, 256 x 144, miniature$", run)
    assert direction.endswith("ball to cube, sd15")
    assert sum("made by an earlier version" in line for line in lines) == 3
    assert main(["store", "list", "--json"]) == 0
    about = [entry["about"] for entry in json.loads(capsys.readouterr().out)["entries"]]
    assert store.about in about and about.count({}) == 3


def test_prune_keeps_within_a_limit(store: Store, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["store", "prune", "--limit", "9K", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 1
    assert sum(info.bytes for info in store.list()) < 9 * 1024
    monkeypatch.setenv("PNPVIDEO_STORE_LIMIT", "5000")
    assert main(["store", "prune"]) == 0
    assert capsys.readouterr().out.startswith("1 entries removed, 0.0 MB freed, in ")
    assert main(["store", "prune", "--limit", "-1G"]) == 2
    assert "accepted is a size of at least 0" in capsys.readouterr().err
    assert len(store.list()) == 1


def test_clear_by_kind_and_by_the_beginning_of_a_key(store: Store, capsys: Output) -> None:
    assert main(["store", "clear", "--key", SECOND[:8], "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["removed"] == 1 and said["bytes"] > 4000
    assert main(["store", "clear", "--kind", "trajectory"]) == 0
    assert capsys.readouterr().out.startswith("1 entries removed")
    assert [(info.kind, info.key) for info in store.list()] == [("run", FIRST)]
    assert main(["store", "clear"]) == 0
    assert store.list() == []


@pytest.mark.parametrize("key", ["", "nothing"])
def test_a_key_that_is_not_one_clears_nothing(store: Store, capsys: Output, key: str) -> None:
    assert main(["store", "clear", "--key", key]) == 2
    assert "keys begin with" in capsys.readouterr().err
    assert len(store.list()) == 3


def test_clear_says_what_is_in_use(store: Store, capsys: Output) -> None:
    with store.entry("run", FIRST):
        assert main(["store", "clear"]) == 0
    said = capsys.readouterr()
    assert "2 entries removed" in said.out and "in use" in said.err
    with store.entry("run", FIRST):
        assert main(["store", "clear", "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_the_flag_wins_over_the_variable_and_the_file_comes_last(
    store: Store, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def root(*words: str) -> str:
        assert main(["store", "list", "--json", *words]) == 0
        return json.loads(capsys.readouterr().out)["root"]

    Path("pnpvideo.toml").write_text('store = "from the file"\n')
    assert root("--store", "from the flag") == "from the flag"
    assert root() == str(store.root)
    monkeypatch.delenv("PNPVIDEO_STORE")
    assert root() == "from the file"
    Path("pnpvideo.toml").unlink()
    assert Path(root()).name == "pnpvideo"
