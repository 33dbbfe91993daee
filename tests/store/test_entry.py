"""One entry: tensors come back bit for bit, whatever is damaged, full or killed."""

import errno
import os
from pathlib import Path

import pytest
import torch

from pnpvideo.errors import StoreError
from pnpvideo.store import durable, manifest
from pnpvideo.store.digest import fingerprint
from pnpvideo.store.entry import Entry
from pnpvideo.store.store import Store

from .conftest import KEY, files, process, put, value


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

    def test_tensors_lie_where_torch_aligns_them(self, store: Store) -> None:
        """With others, some processors round otherwise, and a resumed run would end with other pixels."""
        sizes = {"a": 3, "b": 1, "c": 1000}
        with store.entry("run", KEY) as entry:
            entry.put("part", {name: torch.ones(size, dtype=torch.uint8) for name, size in sizes.items()})
            tensors, _ = entry.get("part") or ({}, {})
        assert set(tensors) == set(sizes) and all(tensor.data_ptr() % 64 == 0 for tensor in tensors.values())

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

                full.setattr(os, failing, wrapped)
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


def test_an_entry_without_a_manifest_is_empty_and_makes_nothing(tmp_path: Path) -> None:
    entry = Entry(tmp_path / "run" / KEY, "run", KEY)
    assert entry.names() == [] and entry.get("x") is None
    entry.remove("x")
    entry.discard()
    assert list(tmp_path.iterdir()) == []
