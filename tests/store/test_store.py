"""The store: two processes at once, listing and clearing, locks and paths."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from pnpvideo.errors import OptionError, StoreError
from pnpvideo.events import Notice
from pnpvideo.store.digest import fingerprint
from pnpvideo.store.store import Store

from .conftest import KEY, files, process, put, value

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


class TestClaims:
    HOLDER = """
        import sys
        from pathlib import Path
        from pnpvideo.store import Store
        with Store(Path(sys.argv[1])).claimed(sys.argv[2]) as claimed:
            print(claimed, flush=True)
            sys.stdin.readline()
        """

    def test_work_is_claimed_by_one_process_and_free_when_it_dies(self, store: Store) -> None:
        holder = process(self.HOLDER, store.root, KEY)
        assert holder.stdout is not None and holder.stdout.readline() == "True\n"
        with store.claimed(KEY) as claimed, store.claimed("other") as other:
            assert (claimed, other) == (False, True)
        with store.entry("run", KEY) as entry:  # a claim locks no entry
            assert entry.names() == []
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with store.claimed(KEY, wait=True) as claimed:
            assert claimed
        close(holder)

    def test_a_claim_stays_in_the_store(self, store: Store) -> None:
        with pytest.raises(ValueError, match="keys: fingerprints"), store.claimed("../../elsewhere"):
            pass

    def test_what_is_wrong_with_claimed_work_is_passed_on(self, store: Store) -> None:
        with pytest.raises(TimeoutError, match="mine"), store.claimed(KEY):
            raise TimeoutError("mine")
        with store.claimed(KEY) as claimed:
            assert claimed


def test_a_part_is_seen_while_its_entry_is_locked(store: Store) -> None:
    assert store.peek("trajectory", KEY, "x") is None
    with store.entry("trajectory", KEY) as entry:
        entry.put("x", {"x": torch.ones(3)}, {"level": 2})
        found = store.peek("trajectory", KEY, "x")
        assert found is not None and torch.equal(found[0]["x"], torch.ones(3)) and found[1] == {"level": 2}
        assert store.peek("trajectory", KEY, "y") is None
    (part,) = (store.root / "trajectory" / KEY).glob("x.*")
    part.write_bytes(part.read_bytes()[:-1])
    assert store.peek("trajectory", KEY, "x") is None and part.exists()
    (store.root / "trajectory" / KEY / "manifest.json").write_text("{")
    assert store.peek("trajectory", KEY, "x") is None
