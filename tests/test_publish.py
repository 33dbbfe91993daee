"""A result appears whole or not at all, is written by one run at a time, and a killed run leaves nothing for long."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pnpvideo import publish
from pnpvideo.errors import OutputError
from pnpvideo.publish import Publication, published, write_file

WRITER = """
import sys, time
from pathlib import Path
from pnpvideo.errors import OutputError
from pnpvideo.publish import Publication
target, content, kind, seconds = Path(sys.argv[1]), sys.argv[2].encode(), sys.argv[3], float(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
try:
    with Publication(target) as publication:
        if kind == "folder":
            publication.path.mkdir()
        for number in range(20):
            path = publication.path / f"{number:02}.png" if kind == "folder" else publication.path
            with path.open("ab") as file:
                file.write(content * 500)
            time.sleep(seconds / 20)
        publication.publish(overwrite=sys.argv[5] == "over")
    print("done", flush=True)
except OutputError as error:
    print(f"refused: {error}", flush=True)
"""


def start(target: Path, content: str, kind: str, seconds: float, over: bool, tmpdir: Path) -> subprocess.Popen[str]:
    """A process that is ready to write ``target`` once it reads a line."""
    command = [sys.executable, "-c", WRITER, str(target), content, kind, str(seconds), "over" if over else "new"]
    environment = {**os.environ, "TMPDIR": str(tmpdir), "PYTHONPATH": str(Path(publish.__file__).parents[1])}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def content_of(target: Path) -> str:
    """The letter that the result consists of; "" if there is none. A result that is not whole fails."""
    if not target.exists():
        return ""
    files = sorted(target.iterdir()) if target.is_dir() else [target]
    found = b"".join(path.read_bytes() for path in files)
    assert len(found) == 10_000 and len(set(found)) == 1, "the result is not whole"
    assert not target.is_dir() or len(files) == 20
    return chr(found[0])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux: nobody can create files in /proc")
def test_a_folder_that_takes_no_file_is_not_taken_for_another_run() -> None:
    with pytest.raises(OutputError, match="its folder cannot be written to"):
        write_file(Path("/proc/self/out.txt"), b"")


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("tries", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_of_two_processes_that_write_one_output_exactly_one_succeeds(kind: str, tries: int, tmp_path: Path) -> None:
    for number in range(tries):
        target = tmp_path / f"out{number}"
        folders = [tmp_path / f"tmp{side}" for side in "ab"]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        both = [start(target, side, kind, 0.1, False, folder) for side, folder in zip("ab", folders, strict=True)]
        for process in both:
            go(process)
        said = [process.communicate(timeout=60)[0] for process in both]
        assert sorted(line.split(":")[0].strip() for line in said) == ["done", "refused"], said
        assert content_of(target) == "ab"[[line.strip() for line in said].index("done")]
        assert {path.name for path in tmp_path.iterdir()} == {*(f"out{n}" for n in range(number + 1)), "tmpa", "tmpb"}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_leaves_the_former_result_or_the_new_one(
    kind: str, kills: int, exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an exchange by the system, a folder that was taken away is put back by the next run."""
    target, draw = tmp_path / "out", random.Random(0)
    with published(target) as path:
        fill(path, kind, "a")
    for number in range(kills):
        before, letter = content_of(target), "bcdefghij"[number % 9]
        child = os.fork()
        if child == 0:
            try:
                if not exchange:
                    publish._renameat2 = lambda *_: False
                with published(target) as path:
                    fill(path, kind, letter)
            finally:
                os._exit(0)
        time.sleep(draw.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if exchange or kind == "file":
            assert content_of(target) in (before, letter)
        Publication(target).discard()  # the next run's start
        assert content_of(target) in (before, letter)
        assert os.listdir(tmp_path) == ["out"]


def fill(path: Path, kind: str, letter: str) -> None:
    """Write a result of 20 pieces."""
    if kind == "folder":
        path.mkdir()
    for number in range(20):
        with (path / f"{number:02}.png" if kind == "folder" else path).open("ab") as file:
            file.write(letter.encode() * 500)


@pytest.mark.skipif(os.name != "posix", reason="two renames stand in for renameat2 elsewhere anyway")
def test_between_two_renames_a_killed_run_leaves_a_folder_that_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "frames"
    with published(target) as path:
        fill(path, "folder", "a")
    child = os.fork()
    if child == 0:
        replace, calls = os.replace, list[object]()

        def second_kills(*paths: object, **given: object) -> None:
            calls.append(paths)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*paths, **given)  # type: ignore[arg-type]

        publish._renameat2 = lambda *_: False
        os.replace = second_kills
        with published(target) as path:
            fill(path, "folder", "b")
        os._exit(0)
    os.waitpid(child, 0)
    assert not target.exists()
    Publication(target).discard()
    assert content_of(target) == "a" and os.listdir(tmp_path) == ["frames"]


def test_what_is_there_stays_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_file(target, b"old", overwrite=False)
    with pytest.raises(OutputError, match="has come to exist"):
        write_file(target, b"new", overwrite=False)
    assert target.read_bytes() == b"old"
    write_file(target, b"new")
    assert target.read_bytes() == b"new" and os.listdir(tmp_path) == ["a.txt"]


def test_a_run_leaves_alone_what_another_builds_whose_name_begins_as_its_own(tmp_path: Path) -> None:
    with Publication(tmp_path / "out.mp4") as running:
        running.path.write_bytes(b"first")
        with published(tmp_path / "out") as path:
            path.mkdir()
        assert running.path.read_bytes() == b"first"
        running.publish(overwrite=False)
    assert (tmp_path / "out.mp4").read_bytes() == b"first"


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), published(tmp_path / "a.png") as path:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def link(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to(elsewhere)


def swap(path: Path, elsewhere: Path) -> None:
    os.rename(path.parent, elsewhere.with_name("taken"))
    path.parent.mkdir()
    path.write_bytes(b"another's")


@pytest.mark.skipif(os.name != "posix", reason="links")
@pytest.mark.parametrize("attack", [link, swap])
def test_what_is_put_in_the_place_of_a_result_is_not_published(
    attack: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    folder, secret = tmp_path / "out", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(b"secret")
    with pytest.raises(OutputError, match="something was put in its place"), published(folder / "a.mp4") as path:
        path.write_bytes(b"ours")
        attack(path, secret)
    assert not (folder / "a.mp4").exists() and secret.read_bytes() == b"secret"


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_the_folder_of_a_result_under_way_is_private_and_its_name_cannot_be_foreseen(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with Publication(tmp_path / "a.mp4") as publication:
            names.add(publication.path.parent.name)
            assert publication.path.parent.stat().st_mode & 0o077 == 0
    assert len(names) == 2
    write_file(tmp_path / "a.mp4", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "a.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode  # as any new file's


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / ".a.mp4.lock").symlink_to(secret)
    with pytest.raises(OutputError, match=r"a\.mp4"):
        write_file(tmp_path / "a.mp4", b"")
    assert secret.read_bytes() == b"secret"


def test_a_lock_that_a_dead_run_left_is_free(tmp_path: Path) -> None:
    (tmp_path / ".a.mp4.lock").write_bytes(b"")
    write_file(tmp_path / "a.mp4", b"new")
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_name_of_255_bytes_has_room_for_its_lock(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 125 + "a.txt")
    write_file(target, b"new")
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.skipif(os.name != "posix", reason="fcntl, which tells how a descriptor was opened, is POSIX only")
def test_on_windows_files_are_synced_through_a_descriptor_that_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to flush one that may only read."""
    import fcntl

    synced: list[int] = []

    class Windows:
        name = "nt"

        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def fsync(self, handle: int) -> None:
            synced.append(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(publish, "os", Windows())
    write_file(tmp_path / "a.txt", b"text")
    with published(tmp_path / "frames") as building:
        building.mkdir()
        (building / "0.png").write_bytes(b"picture")
    assert synced == [os.O_RDWR] * 2  # folders are not synced


def test_file_and_folder_are_synced_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave a name without its content, or lose the name."""
    synced: list[tuple[int, bool]] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, (tmp_path / "a.txt").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    write_file(tmp_path / "a.txt", b"new")
    assert synced == [((tmp_path / "a.txt").stat().st_ino, False), (tmp_path.stat().st_ino, True)]
