"""The store survives what machines do: two processes at once, kills, full disks, flipped bits, older versions."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.errors import OptionError, StoreError
from pnpvideo.events import Notice
from pnpvideo.store import Store, durable, fingerprint, manifest
from pnpvideo.store.durable import replace_file

KEY = fingerprint("a key")


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, notices: list[str]) -> Store:
    def report(event: object) -> None:
        assert isinstance(event, Notice)
        notices.append(event.message)

    return Store(tmp_path / "store", report=report)


def put(store: Store, value: float, name: str = "x") -> None:
    with store.entry("trajectory", KEY) as entry:
        entry.put(name, {"x": torch.full((3,), value)}, {"value": value})


def value(store: Store, name: str = "x") -> float | None:
    with store.entry("trajectory", KEY) as entry:
        found = entry.get(name)
    if found is None:
        return None
    tensors, meta = found
    assert torch.equal(tensors["x"], torch.full((3,), meta["value"]))
    return meta["value"]


def files(store: Store, pattern: str = "*") -> list[Path]:
    return sorted((store.root / "trajectory" / KEY).glob(pattern))


def process(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


class TestEntry:
    def test_tensors_come_back_bit_for_bit(self, store: Store) -> None:
        grid = torch.arange(12.0).reshape(3, 4)
        tensors = {
            "transposed": grid.t(),
            "part of it": grid[1],
            "half": torch.tensor([1.5, float("nan")], dtype=torch.bfloat16),
            "pixels": torch.zeros(0, 3, dtype=torch.uint8),
            "scalar": torch.tensor(7),
        }
        with store.entry("run", KEY) as entry:
            entry.put("all", tensors, {"step": 3, "words": ["ä", None]})
        with store.entry("run", KEY) as entry:
            found = entry.get("all")
        assert found is not None
        assert found[1] == {"step": 3, "words": ["ä", None]}
        assert found[0].keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert found[0][name].dtype == tensor.dtype
            assert torch.equal(found[0][name].nan_to_num(), tensor.nan_to_num())

    def test_a_second_put_replaces_the_first_and_its_file(self, store: Store) -> None:
        put(store, 1.0)
        put(store, 2.0)
        assert value(store) == 2.0
        assert len(files(store, "*.safetensors")) == 1

    def test_names_keep_their_order_and_can_be_removed(self, store: Store) -> None:
        with store.entry("trajectory", KEY) as entry:
            for name in ("b", "a", "c"):
                entry.put(name, {"x": torch.zeros(1)})
            entry.put("b", {"x": torch.ones(1)})
            assert entry.names() == ["b", "a", "c"]
            entry.remove("a")
            entry.remove("never there")
            assert entry.get("a") is None
        with store.entry("trajectory", KEY) as entry:
            assert entry.names() == ["b", "c"]

    def test_a_discarded_entry_is_gone_and_can_begin_anew(self, store: Store) -> None:
        put(store, 1.0)
        with store.entry("trajectory", KEY) as entry:
            entry.discard()
            assert not (store.root / "trajectory" / KEY).exists()
            assert entry.names() == []
            entry.put("x", {"x": torch.full((3,), 5.0)}, {"value": 5.0})
        assert value(store) == 5.0

    def test_a_look_leaves_nothing_behind(self, store: Store) -> None:
        assert value(store) is None
        assert store.list() == []

    @pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\0b", "x" * 101])
    def test_a_name_that_is_no_name_is_refused(self, store: Store, name: str) -> None:
        with store.entry("trajectory", KEY) as entry, pytest.raises(ValueError, match="does not name a part"):
            entry.put(name, {"x": torch.zeros(1)})

    @pytest.mark.parametrize(("kind", "key"), [("other", KEY), ("run", "../x"), ("run", "")])
    def test_a_key_that_is_no_key_is_refused(self, store: Store, kind: str, key: str) -> None:
        with pytest.raises(ValueError, match="is no kind and key"), store.entry(kind, key):
            pass


class TestDamage:
    def test_an_entry_that_was_moved_to_another_key_is_not_used(self, store: Store) -> None:
        put(store, 1.0)
        other = fingerprint("another key")
        (store.root / "trajectory" / KEY).rename(store.root / "trajectory" / other)
        with store.entry("trajectory", other) as entry:
            assert entry.names() == []

    def test_a_flipped_byte_is_found_said_and_dropped(self, store: Store, notices: list[str]) -> None:
        put(store, 1.0)
        put(store, 2.0, "sound")
        (part,) = files(store, "x.*")
        content = bytearray(part.read_bytes())
        content[-1] ^= 1
        part.write_bytes(content)
        assert value(store) is None
        assert len(notices) == 1 and "does not match its checksum" in notices[0] and "'x'" in notices[0]
        assert files(store, "x.*") == []
        assert value(store, "sound") == 2.0
        put(store, 3.0)
        assert value(store) == 3.0
        assert len(notices) == 1

    @pytest.mark.parametrize("kept", [0, 20, -1])
    def test_a_truncated_part_is_found(self, store: Store, notices: list[str], kept: int) -> None:
        put(store, 1.0)
        (part,) = files(store, "x.*")
        part.write_bytes(part.read_bytes()[:kept])
        assert value(store) is None
        assert len(notices) == 1 and "bytes instead of" in notices[0]

    def test_a_missing_part_is_found(self, store: Store, notices: list[str]) -> None:
        put(store, 1.0)
        files(store, "x.*")[0].unlink()
        assert value(store) is None
        assert len(notices) == 1 and "cannot be read" in notices[0]

    def test_every_flipped_bit_of_the_manifest_is_harmless(self, store: Store) -> None:
        put(store, 1.0)
        path = store.root / "trajectory" / KEY / "manifest.json"
        sound = path.read_bytes()
        for position in range(len(sound)):
            damaged = bytearray(sound)
            damaged[position] ^= 1 << (position % 8)
            path.write_bytes(damaged)
            assert value(store) in (None, 1.0)  # ``value`` checks the tensors against the meta
            path.write_bytes(sound)
        assert value(store) == 1.0

    @pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b'{"format": 1}', b'{"format": 1, "body": 5}'])
    def test_a_manifest_that_is_none_is_said_and_replaced(
        self, store: Store, notices: list[str], content: bytes
    ) -> None:
        put(store, 1.0)
        (store.root / "trajectory" / KEY / "manifest.json").write_bytes(content)
        assert value(store) is None
        assert len(notices) == 1 and "damaged manifest" in notices[0]
        put(store, 2.0)
        notices.clear()
        assert value(store) == 2.0
        assert notices == [] and len(files(store)) == 2

    def test_another_version_is_left_alone_until_it_is_replaced(
        self, store: Store, notices: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as older:
            older.setattr(manifest, "FORMAT", 0)
            put(store, 1.0)
        before = files(store)
        assert value(store) is None
        assert len(notices) == 1 and "another version" in notices[0]
        assert files(store) == before
        assert [info.usable for info in store.list()] == [False]
        put(store, 2.0)
        assert value(store) == 2.0 and len(files(store)) == 2


class TestFullDisk:
    @pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
    @pytest.mark.parametrize("call", [0, 1], ids=["the part", "the manifest"])
    def test_what_was_there_is_unharmed_and_no_file_is_left(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, failing: str, call: int
    ) -> None:
        put(store, 1.0)
        before = files(store)
        calls = 0

        def fail(*arguments: object) -> None:
            nonlocal calls
            calls += 1
            if calls == call + 1:
                raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as full, store.entry("trajectory", KEY) as entry:
            if failing == "write":

                def failing_open(file: object, mode: str) -> object:
                    fail()
                    return open(file, mode)  # type: ignore[call-overload]

                full.setattr(durable, "open", failing_open, raising=False)
            else:
                real = getattr(os, failing)

                def wrapped(*arguments: object) -> object:
                    fail()
                    return real(*arguments)

                full.setattr(durable.os, failing, wrapped)
                if failing == "fsync":
                    full.setattr(durable, "sync_folder", lambda folder: None)
            with pytest.raises(StoreError, match=r"No space left on device.*store clear"):
                entry.put("x", {"x": torch.full((3,), 2.0)}, {"value": 2.0})
            found = entry.get("x")
            assert found is not None and found[1] == {"value": 1.0}
        assert value(store) == 1.0
        if call == 0:
            assert files(store) == before
        assert files(store, ".*") == []
        put(store, 3.0)
        assert len(files(store)) == 2

    def test_a_write_that_the_system_cuts_short(self, store: Store) -> None:
        """With a limit on the size of files, the real system call fails half-way through."""
        put(store, 1.0)
        child = process(
            """
            import resource, sys, torch
            from pathlib import Path
            from pnpvideo.errors import OptionError, StoreError
            from pnpvideo.store import Store
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            with Store(Path(sys.argv[1])).entry("trajectory", sys.argv[2]) as entry:
                try:
                    entry.put("x", {"x": torch.zeros(1_000_000)})
                except StoreError as error:
                    print(error)
            """,
            store.root,
            KEY,
        )
        said, _ = child.communicate()
        assert child.returncode == 0 and "could not be written to the store" in said
        assert value(store) == 1.0
        assert files(store, ".*") == []

    def test_a_store_that_is_a_file_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("not a folder")
        with pytest.raises(StoreError, match="--store"), Store(tmp_path / "store").entry("run", KEY):
            pass


HOLDER = """
    import sys
    from pathlib import Path
    from pnpvideo.store import Store
    with Store(Path(sys.argv[1])).entry("trajectory", sys.argv[2]):
        print("held", flush=True)
        sys.stdin.readline()
    """


class TestTwoProcesses:
    def test_one_computes_and_the_other_waits_and_reads(self, store: Store) -> None:
        """Three processes want one key; whoever comes first computes, all others find the result."""
        code = """
            import os, sys, time, torch
            from pathlib import Path
            from pnpvideo.store import Store
            log = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND)
            with Store(Path(sys.argv[1])).entry("trajectory", sys.argv[2]) as entry:
                if entry.get("x") is None:
                    os.write(log, b"computed\\n")
                    time.sleep(0.3)
                    entry.put("x", {"x": torch.full((3,), 4.0)}, {"value": 4.0})
                else:
                    os.write(log, b"found\\n")
            """
        log = store.root.with_name("log")
        log.touch()
        children = [process(code, store.root, KEY, log) for _ in range(3)]
        assert [child.wait() for child in children] == [0, 0, 0]
        assert sorted(log.read_text().split()) == ["computed", "found", "found"]
        assert value(store) == 4.0
        for child in children:
            close(child)

    def test_a_waiting_process_says_that_it_waits(self, store: Store) -> None:
        holder = process(HOLDER, store.root, KEY)
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        said: list[str] = []

        def report(event: object) -> None:
            assert isinstance(event, Notice)
            said.append(event.message)
            holder.communicate("go\n")

        with Store(store.root, report=report).entry("trajectory", KEY):
            assert holder.returncode == 0
        assert said == [f"waiting for another process that works on trajectory {KEY[:12]}"]

    def test_the_lock_of_a_process_that_died_is_free(self, store: Store, notices: list[str]) -> None:
        put(store, 1.0)
        holder = process(HOLDER, store.root, KEY)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        close(holder)
        assert value(store) == 1.0
        assert notices == []

    def test_clear_keeps_what_is_in_use(self, store: Store, notices: list[str]) -> None:
        put(store, 1.0)
        with Store(store.root).entry("trajectory", KEY):
            assert store.clear() == 0
        assert len(notices) == 1 and "in use" in notices[0]
        assert value(store) == 1.0


def close(child: "subprocess.Popen[str]") -> None:
    for pipe in (child.stdin, child.stdout):
        assert pipe is not None
        pipe.close()


def test_killed_at_any_point_an_entry_holds_the_old_or_the_new(store: Store) -> None:
    """A child forks workers that put 0, 1, 2, ... without end, and kills each with SIGKILL at a random moment.

    It reports how far each worker said that it was; the entry must then hold that value, or the next.
    """
    code = """
        import os, random, signal, struct, sys, time, torch
        from pathlib import Path
        from pnpvideo.store import Store
        torch.set_num_threads(1)
        store, key = Store(Path(sys.argv[1])), sys.argv[2]
        chance = random.Random(0)
        for attempt in range(25):
            read, write = os.pipe()
            worker = os.fork()
            if worker == 0:
                os.close(read)
                with store.entry("trajectory", key) as entry:
                    found = entry.get("x")
                    value = -1.0 if found is None else found[1]["value"]
                    while True:
                        value += 1
                        entry.put("x", {"x": torch.full((3,), value)}, {"value": value})
                        os.write(write, struct.pack("d", value))
            os.close(write)
            done = os.read(read, 8)
            time.sleep(chance.random() * 0.02)
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            while more := os.read(read, 8):
                done = more
            os.close(read)
            (said,) = struct.unpack("d", done)
            with store.entry("trajectory", key) as entry:
                found = entry.get("x")
            assert found is not None, attempt
            assert torch.equal(found[0]["x"], torch.full((3,), found[1]["value"]))
            assert found[1]["value"] in (said, said + 1), (attempt, said, found)
        print("survived")
        """
    child = process(code, store.root, KEY)
    said, _ = child.communicate()
    assert said == "survived\n"
    last = value(store)
    assert last is not None and last > 25
    put(store, 0.0)
    assert len(files(store)) == 2, "a later put sweeps up what a killed one left"


class TestListAndClear:
    def test_entries_are_listed_with_their_size_and_parts(self, store: Store) -> None:
        put(store, 1.0)
        put(store, 2.0, "y")
        (info,) = store.list()
        assert (info.kind, info.key, info.parts, info.usable) == ("trajectory", KEY, 2, True)
        assert info.bytes == sum(path.stat().st_size for path in files(store))
        assert info.created <= info.last_used and info.created.utcoffset() is not None

    def test_the_least_recently_used_comes_first(self, store: Store) -> None:
        keys = [fingerprint(number) for number in range(3)]
        for key in keys:
            with store.entry("run", key) as entry:
                entry.put("x", {"x": torch.zeros(1)})
        for seconds, key in enumerate((keys[2], keys[0], keys[1])):
            os.utime(store.root / "run" / key / "manifest.json", (1e9 + seconds, 1e9 + seconds))
        assert [info.key for info in store.list()] == [keys[2], keys[0], keys[1]]
        with store.entry("run", keys[2]):
            pass
        assert [info.key for info in store.list()] == [keys[0], keys[1], keys[2]]

    def test_clear_takes_a_kind_and_a_key(self, store: Store) -> None:
        other = fingerprint("another")
        for kind, key in (("run", KEY), ("run", other), ("trajectory", KEY)):
            with store.entry(kind, key) as entry:
                entry.put("x", {"x": torch.zeros(1)})
        assert store.clear("run", other) == 1
        assert store.clear(key=other) == 0
        assert [info.kind for info in store.list()] == ["run", "trajectory"]
        assert store.clear("run") == 1
        assert store.clear() == 1
        assert store.list() == []

    def test_an_entry_killed_before_its_first_manifest_can_be_cleared(self, store: Store) -> None:
        folder = store.root / "run" / KEY
        folder.mkdir(parents=True)
        (folder / ".x.part").write_bytes(b"12345")
        (info,) = store.list()
        assert (info.bytes, info.parts, info.usable) == (5, 0, False)
        assert store.clear() == 1
        assert not folder.exists()

    def test_an_empty_store_lists_nothing_and_makes_nothing(self, store: Store) -> None:
        assert store.list() == [] and store.clear() == 0
        assert not store.root.exists()


@dataclass(frozen=True)
class Point:
    x: int
    y: tuple[float, ...] = ()


@dataclass(frozen=True)
class Place:
    x: int
    y: tuple[float, ...] = ()


class Kind(Enum):
    CAT = 1
    DOG = 2


class Breed(Enum):
    CAT = 1


class TestFingerprint:
    def test_all_that_differs_differs(self) -> None:
        array = np.arange(6, dtype=np.float32)
        tensor = torch.arange(6, dtype=torch.float32)
        contents: list[object] = [
            *(None, True, False, 0, 1, -1, 0.0, 1.0, -0.0, "", "1", b"1", b"", (), [], {}, (1,), [1], ((1,),)),
            *(("ab", "c"), ("a", "bc"), ("abc",), {"a": 1}, {"a": 2}, {"b": 1}, {1: "a"}, {"a": None}),
            *(Point(1), Point(2), Place(1), Point(1, (0.5,)), {"x": 1, "y": ()}),
            *(array, array.reshape(2, 3), array.reshape(3, 2), array.astype(np.float64), array.astype(np.int32)),
            *(
                array.view(np.int32),
                tensor,
                tensor.view(2, 3),
                tensor.half(),
                tensor.bfloat16(),
                tensor.view(torch.int32),
            ),
            *(Kind.CAT, Kind.DOG, Breed.CAT),
            *(torch.tensor(1.0), torch.tensor([1.0]), torch.zeros(0), torch.zeros(0, 2), np.zeros(0)),
        ]
        assert len({fingerprint(content) for content in contents}) == len(contents)
        assert fingerprint(1, 2) != fingerprint((1, 2))

    def test_the_same_content_is_the_same(self) -> None:
        grid = np.arange(12.0).reshape(3, 4)
        assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        assert fingerprint(grid.T) == fingerprint(np.ascontiguousarray(grid.T))
        assert fingerprint(torch.from_numpy(grid).t()) == fingerprint(torch.from_numpy(grid.T.copy()))
        assert fingerprint(Point(1)) == fingerprint(Point(1, ()))

    def test_it_is_the_same_in_every_process_and_release(self) -> None:
        content = ("text", 1, 0.5, None, b"\0", {"k": [True]}, torch.arange(3, dtype=torch.int16))
        assert fingerprint(*content) == "cba344366920d5f9d65d08e4c6c3e6520fce1e709a7524ccb4b62c2125b3cd57"

    @pytest.mark.parametrize("content", [{1, 2}, Path("x"), object(), Point, np.array([object()]), np.float32(1), 1j])
    def test_what_has_no_canonical_form_is_refused(self, content: object) -> None:
        with pytest.raises(TypeError, match="has no fingerprint"):
            fingerprint("fine", [content])


def test_the_manifest_is_readable_json(store: Store) -> None:
    put(store, 1.0)
    record = json.loads((store.root / "trajectory" / KEY / "manifest.json").read_text())
    body = json.loads(record["body"])
    assert record["format"] == manifest.FORMAT
    assert body["parts"]["x"]["meta"] == {"value": 1.0}


def forged(folder: Path, **changes: object) -> None:
    """Rewrite a manifest with a checksum that matches, as someone would who can write to the store."""
    path = folder / "manifest.json"
    record = json.loads(path.read_text())
    body = json.loads(record["body"])
    for name, value in changes.items():
        if name in ("file", "bytes", "sha256", "meta"):
            body["parts"]["x"][name] = value
        else:
            body[name] = value
    record["body"] = json.dumps(body)
    record["sha256"] = hashlib.sha256(record["body"].encode()).hexdigest()
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../../../secret"},
        {"file": "/etc/passwd"},
        {"file": 7},
        {"bytes": "7"},
        {"sha256": None},
        {"meta": []},
        {"parts": []},
        {"parts": {"../x": {}}},
        {"parts": {"x": {"file": "x"}}},
        {"created_seconds": "now"},
        {"created_seconds": 1e300},
        {"created_seconds": float("nan")},
        {"kind": 1},
        {"about": ["x"]},
        {"about": {"clip": 1}},
        {"more": 1},
    ],
)
def test_a_manifest_that_was_written_by_another_hand_is_computed_again(
    changes: dict[str, object], store: Store, notices: list[str]
) -> None:
    secret = store.root.parent / "secret"
    secret.write_bytes(b"secret")
    with store.entry("trajectory", KEY) as entry:
        entry.put("x", {"x": torch.ones(2)})
    forged(store.root / "trajectory" / KEY, **changes)
    (info,) = store.list()
    assert not info.usable
    with store.entry("trajectory", KEY) as entry:
        assert entry.names() == [] and entry.get("x") is None
        assert "damaged manifest" in notices[-1]
        entry.put("x", {"x": torch.zeros(2)})
    assert store.clear() == 1 and secret.read_bytes() == b"secret"


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_what_is_not_a_plain_file_is_not_read_as_a_part(store: Store, notices: list[str]) -> None:
    with store.entry("trajectory", KEY) as entry:
        entry.put("x", {"x": torch.ones(2)})
        (path,) = (store.root / "trajectory" / KEY).glob("x.*")
        path.unlink()
        path.symlink_to("/dev/zero")
        assert entry.get("x") is None
    assert "damaged part" in notices[-1]


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_an_entry_that_is_a_link_is_refused_and_nothing_behind_it_is_removed(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_bytes(b"kept")
    (store.root / "trajectory").mkdir(parents=True)
    (store.root / "trajectory" / KEY).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a link"), store.entry("trajectory", KEY):
        pass
    with pytest.raises(StoreError, match="is a link"):
        store.clear()
    assert (elsewhere / "kept").read_bytes() == b"kept"


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_lock_that_is_a_link_or_a_folder_is_one_clear_error(store: Store, tmp_path: Path) -> None:
    locks = store.root / "locks"
    locks.mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (locks / f"trajectory-{KEY}.lock").symlink_to(secret)
    (locks / f"run-{KEY}.lock").mkdir()
    for kind in ("trajectory", "run"):
        with pytest.raises(StoreError, match="cannot be used"), store.entry(kind, KEY):
            pass
    assert secret.read_bytes() == b"secret"


def test_a_path_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="accepted is the path of a folder"):
        Store(Path("a\0b"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be used"), Store(tmp_path / "file").entry("run", KEY):
        pass


def test_a_replaced_file_and_its_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    replace_file(tmp_path / "a", b"new")
    assert synced == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]
