"""Rows on a Ray cluster: the bytes of one process, whatever happens to workers and machines meanwhile."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnpvideo.batch.ray_cluster import WORKER_LOSSES, RayCluster
from pnpvideo.batch.rows import Common, Row, read_rows
from pnpvideo.batch.runner import BatchReport, run
from pnpvideo.batch.work import Outcome
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.store import Store
from pnpvideo.video.ffmpeg import executable

Jobs = Callable[[str], Path]
ROWS = '[[rows]]\ninput = "in/0[0-5].png"\n'


def test_a_numbered_device_is_refused(jobs: Jobs, common: Common) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    path = jobs(ROWS)
    with pytest.raises(OptionError, match=r"row 1 \(00.png\): device is 'cuda:1'; .*say cuda"):
        run(path, common=Common(over={**common.over, "device": "cuda:1"}), engine=RayCluster())


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Two machines of one processor each, as processes of this one. param: processors of the first."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from ray.cluster_utils import Cluster

    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}.items():
        monkeypatch.setenv(name, value)
    machine = {"num_cpus": getattr(request, "param", 1), "object_store_memory": 100_000_000, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=machine)
    started.add_node(num_cpus=1, object_store_memory=100_000_000)
    try:
        yield started
    finally:
        ray.shutdown()
        started.shutdown()


def alone(folder: Path, common: Common) -> tuple[Path, BatchReport]:
    """The same jobs file, run in another folder without a cluster and without the first store."""
    other = folder / "alone"
    other.mkdir()
    for name in ("in", "jobs.toml"):
        (shutil.copytree if (folder / name).is_dir() else shutil.copy)(folder / name, other / name)
    (other / "out").mkdir()
    return other, run(other / "jobs.toml", common=Common(over={**common.over, "store": other / "store"}))


def in_one_process(folder: Path, common: Common) -> dict[str, bytes]:
    """The outputs of ``alone``."""
    other, found = alone(folder, common)
    assert not found.failed
    return outputs(other)


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "out").glob("*.[pm][nk][gv]")}


def on(cluster: Any, path: Path, common: Common, report: Callable[[Event], None]) -> BatchReport:
    return run(path, common=common, engine=RayCluster(cluster.address), report=report)


def workers() -> list[int]:
    """The process ids of the workers of pnpvideo, oldest first."""
    psutil = pytest.importorskip("psutil")
    named = [each for each in psutil.process_iter(["cmdline", "create_time"]) if each.info["cmdline"]]
    ours = [each for each in named if each.info["cmdline"][0].startswith("ray::Worker")]
    return [each.pid for each in sorted(ours, key=lambda each: float(each.info["create_time"]))]


@pytest.mark.slow
def test_the_bytes_are_those_of_one_process(cluster: Any, folder: Path, jobs: Jobs, common: Common) -> None:
    content = (folder / "in/03.png").read_bytes()
    (folder / "in/03.png").write_bytes(content[: len(content) // 2])  # it stops no others
    path = jobs('[[rows]]\ninput = "in/0[0-5].png"\n[[rows]]\ninput = "in/06.png"\ndtype = "float32"\n')
    heard: list[Event] = []
    found = on(cluster, path, common, heard.append)
    assert [(each.number, each.exit_code) for each in found.failed] == [(4, 3)]
    shares = [event for event in heard if isinstance(event, Progress) and event.stage == "batch"]
    assert shares[-1].done == shares[-1].total == 7 and shares[-1].overall == 1.0
    assert any((event.overall or 0) % (1 / 7) > 0 for event in shares)  # shares of rows that are under way
    again = on(cluster, path, common, heard.append)
    assert [each.state for each in again.outcomes] == ["done before"] * 3 + ["failed"] + ["done before"] * 3
    (folder / "in/03.png").unlink()
    assert outputs(folder) == in_one_process(folder, common) and len(outputs(folder)) == 6
    assert workers() == []


@pytest.mark.slow
def test_a_killed_worker_and_a_lost_machine_cost_no_row(cluster: Any, folder: Path, jobs: Jobs, common: Common) -> None:
    killed: list[int] = []
    heard: list[Event] = []
    node = cluster.add_node(num_cpus=1, object_store_memory=100_000_000)

    def kill(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Progress) and event.unit == "row" and event.done == 1 and not killed:
            killed.append(workers()[-1])
            os.kill(killed[0], signal.SIGKILL)
        if isinstance(event, Progress) and event.unit == "row" and event.done == 3 and len(killed) == 1:
            killed.append(0)
            cluster.remove_node(node, allow_graceful=False)

    found = on(cluster, jobs('[[rows]]\ninput = "in/*.png"\nsteps = 4\n'), common, kill)
    assert len(killed) == 2 and not found.failed
    said = [event.message for event in heard if isinstance(event, Notice)]
    assert any("the row is done again" in message for message in said), said
    assert outputs(folder) == in_one_process(folder, common) and len(outputs(folder)) == 20


CLIP = '[[rows]]\ninput = "in/{name}"\noutput = "out/{{stem}}.mkv"\nwindow = 4\nsteps = 6\nkeyframe_every = 2\n'
"""A row of several windows."""


@pytest.fixture
def two_shots(folder: Path) -> str:
    """A clip of a cut, and a shot of several windows before and after it; its name."""
    drawing = np.random.default_rng(1)
    sides = [drawing.integers(0, 256, (8, 12, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2)]
    frames = [np.roll(side, 2 * index, 1) for side in sides for index in range(16)]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x64", "-r", "12", "-i", "pipe:0"]
    command = [executable(), "-v", "error", "-y", *raw, "-c:v", "ffv1", f"file:{folder / 'in/clip.mkv'}"]
    subprocess.run(command, input=np.stack(frames).tobytes(), check=True)
    return "clip.mkv"


@pytest.mark.slow
def test_workers_share_the_windows_of_one_row(
    cluster: Any, folder: Path, jobs: Jobs, common: Common, two_shots: str
) -> None:
    heard: list[Event] = []
    found = on(cluster, jobs(CLIP.format(name=two_shots)), common, heard.append)
    assert not found.failed
    facts = json.loads((folder / "out/clip.mkv.json").read_text("utf-8"))
    assert (facts["shots"], facts["windows"]) == (2, 8)
    shares = [event.overall or 0.0 for event in heard if isinstance(event, Progress) and event.stage == "batch"]
    assert shares == sorted(shares) and shares[-1] == 1.0
    windows = Store(folder / "store").root / "locks"
    assert len([*windows.glob("claim-*")]) == 8
    assert outputs(folder) == in_one_process(folder, common) and len(outputs(folder)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1])
def test_a_worker_that_is_killed_at_a_window_costs_nothing(
    which: int, cluster: Any, folder: Path, jobs: Jobs, common: Common, two_shots: str
) -> None:
    """One of the two writes the result, the other one helps it. which: to be killed, the older or the newer process."""
    killed: list[int] = []
    said: list[str] = []

    def kill(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.message)
        elif isinstance(event, Progress) and len(workers()) == 2 and (event.overall or 0) > 0.3 and not killed:
            killed.append(workers()[which])
            os.kill(killed[0], signal.SIGKILL)

    found = on(cluster, jobs(CLIP.format(name=two_shots)), common, kill)
    assert killed and not found.failed
    assert any("is done again" in message for message in said), said
    assert outputs(folder) == in_one_process(folder, common) and len(outputs(folder)) == 1


@pytest.mark.slow
def test_a_clip_that_turns_bad_fails_alone_and_as_in_one_process(
    cluster: Any, folder: Path, jobs: Jobs, common: Common, two_shots: str
) -> None:
    content = (folder / "in/clip.mkv").read_bytes()
    (folder / "in/bad.mkv").write_bytes(content[: 2 * len(content) // 3])
    rows = CLIP.format(name="bad.mkv") + CLIP.format(name=two_shots)
    found = on(cluster, jobs(rows), common, lambda event: None)
    other, expected = alone(folder, common)
    assert [each.state for each in found.outcomes] == [each.state for each in expected.outcomes] == ["failed", "done"]
    assert found.outcomes[0].exit_code == expected.outcomes[0].exit_code
    assert found.outcomes[0].error == str(expected.outcomes[0].error).replace(str(other), str(folder))
    assert outputs(folder) == outputs(other)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [0], indirect=True)
def test_a_batch_waits_for_machines_and_says_so(cluster: Any, folder: Path, jobs: Jobs, common: Common) -> None:
    """The first machine has no processor for workers, and the second one has left."""
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.message)
            if "no machine" in event.message:
                cluster.add_node(num_cpus=1, object_store_memory=100_000_000)

    cluster.remove_node(next(iter(cluster.worker_nodes)))
    found = on(cluster, jobs('[[rows]]\ninput = "in/00.png"\n'), common, listen)
    assert not found.failed
    assert [message.partition(" ")[0] for message in said if "machine" in message] == ["no", "a"]


class Deadly:
    """A watcher that kills whatever works on the first row."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self.begun: list[int] = []

    def report(self, event: Event) -> None: ...

    def started(self, row: Row) -> None:
        self.begun.append(row.number)
        if row.number == 1:
            os.kill(workers()[-1], signal.SIGKILL)

    def heard(self, row: Row, event: Event) -> None: ...

    def ended(self, row: Row, outcome: Outcome) -> None:
        self.outcomes[row.number] = outcome


@pytest.mark.slow
def test_a_row_that_kills_its_workers_fails_alone(cluster: Any, jobs: Jobs, common: Common) -> None:
    cluster.remove_node(next(iter(cluster.worker_nodes)))  # so that the newest worker is the only one
    watcher = Deadly()
    RayCluster(cluster.address).run(read_rows(jobs('[[rows]]\ninput = "in/0[01].png"\n'), common), watcher)
    assert watcher.begun.count(1) == WORKER_LOSSES
    assert watcher.outcomes[1].exit_code == 5 and "try --memory" in (watcher.outcomes[1].error or "")
    assert watcher.outcomes[2].state == "done"


@pytest.mark.slow
def test_files_that_no_worker_sees_are_said_before_any_work(
    cluster: Any, folder: Path, jobs: Jobs, common: Common, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path from a folder that is gone when workers start: as on a machine without the shared folder."""
    (folder / "here").mkdir()
    monkeypatch.chdir(folder)
    shutil.copy(folder / "in/00.png", folder / "here/mask.png")
    (row,) = read_rows(jobs('[[rows]]\ninput = "in/00.png"\n'), common)
    row = dataclasses.replace(row, options=row.options.changed({"mask": Path("here/mask.png")}))
    monkeypatch.setattr(os, "getcwd", lambda: "/nowhere")
    with pytest.raises(InputError, match=r"does not see here/mask\.png as this machine does; put inputs"):
        RayCluster(cluster.address).run([row], Deadly())


@pytest.mark.slow
def test_the_command_starts_a_cluster_and_ctrl_c_ends_it(folder: Path, jobs: Jobs, common: Common) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    path = jobs('[[rows]]\ninput = "in/0*.png"\nsteps = 4\n')
    words = ["batch", str(path), "--store", str(folder / "store"), "--device", "cpu", "--progress", "json"]
    program = "import sys; from pnpvideo.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *words, "--engine", "ray", "--address", "local"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if '"row"' in line and '"done": 2' in line:
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode == 130 and "interrupted" in said
    assert 2 <= len(outputs(folder)) < 10
    assert workers() == []
    assert subprocess.run(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0
    assert outputs(folder) == in_one_process(folder, common)
