"""Fetching from the hub, for real, from a server on this machine that answers as the hub does."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
import torch
from safetensors.torch import save

from pnpvideo.backends.hub import wanted

PROGRAM = """
import sys
from pathlib import Path
from pnpvideo.backends.hub import fetch
from pnpvideo.backends.model_files import weights_of
from pnpvideo.errors import ModelError
def whole(folder):
    for part in ("unet", "vae", "text_encoder"):
        weights_of(folder / part)
parts = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
try:
    folder = fetch(sys.argv[1], whole, parts) if sys.argv[2] == "checkpoint" else fetch(sys.argv[1], weights_of)
except ModelError as error:
    print("refused:", error)
else:
    print(*sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
"""
LISTENING = """
import dataclasses, json, sys
from pnpvideo.backends.hub import fetch
from pnpvideo.backends.model_files import weights_of
from pnpvideo.errors import ModelError
def report(event):
    print(json.dumps({"event": type(event).__name__, **dataclasses.asdict(event)}), flush=True)
try:
    fetch("someone/model", weights_of, report=report)
except ModelError as error:
    print(json.dumps({"event": "refused", "message": str(error)}))
"""
REVISION = "0123456789abcdef0123456789abcdef01234567"
UNET = ("down_blocks.0.a", "up_blocks.0.a", "time_embedding.a")


def tensors(*names: str) -> bytes:
    return save({name: torch.zeros(1) for name in names or ("a",)}, {"format": "pt"})


def repository(weights: str = "{}.safetensors") -> dict[str, bytes]:
    """The files of a checkpoint as hubs have them, with much that is not wanted."""
    unet = weights.format("diffusion_pytorch_model")
    other = weights.format("model")
    config = b"{}"
    return {
        "model_index.json": config,
        "v1-5-pruned.ckpt": b"pickle",
        "v1-5-pruned.safetensors": tensors(),
        "README.md": b"hello",
        "pipeline.py": b"raise SystemExit",
        "unet/config.json": config,
        f"unet/{unet}": tensors(*UNET),
        "unet/diffusion_pytorch_model.non_ema.safetensors": tensors(),
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "vae/config.json": config,
        f"vae/{unet}": tensors(),
        "text_encoder/config.json": config,
        f"text_encoder/{other}": tensors(),
        "text_encoder/pytorch_model.bin": b"pickle",
        "tokenizer/vocab.json": config,
        "tokenizer/merges.txt": b"",
        "scheduler/scheduler_config.json": config,
        "safety_checker/config.json": config,
        "safety_checker/model.safetensors": tensors(),
    }


WANTED = {
    "model_index.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "scheduler/scheduler_config.json",
}


class Hub:
    """A server with one repository, ``someone/model``; ``asked`` are the paths of its requests."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked = files, list[str]()
        self.go_on: dict[str, Event] = {}
        """Path -> what is waited for after half of that file."""
        self.knows_sizes = True
        self.hashes: dict[str, str] = {}
        """Path -> sha256 that is stated, of large files."""
        hub = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.asked.append(path := unquote(urlparse(self.path).path))
                status, body, headers = hub.answer(path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    waited = hub.go_on.get(path.rpartition("/")[2]) if "resolve" in path else None
                    if waited is not None:
                        self.wfile.write(body[: len(body) // 2])
                        waited.wait(30)
                        body = body[len(body) // 2 :]
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        sizes = [
            {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
            for name, body in self.files.items()
        ]
        api, resolve = "/api/models/someone/model", f"/someone/model/resolve/{REVISION}/"
        if path in (api, f"{api}/revision/main"):
            names: list[dict[str, Any]] = [
                {"rfilename": name, "size": len(body)} if self.knows_sizes else {"rfilename": name}
                for name, body in self.files.items()
            ]
            for name in names:
                if (stated := self.hashes.get(name["rfilename"])) is not None:
                    name["lfs"] = {"sha256": stated, "size": name["size"], "pointerSize": 134}
            return 200, json.dumps({"id": "someone/model", "sha": REVISION, "siblings": names}).encode(), {}
        if path.startswith(f"{api}/tree/"):
            return 200, json.dumps(sizes).encode(), {}
        body = self.files.get(path.removeprefix(resolve))
        if body is None:
            return 404, b"", {"X-Error-Code": "RepoNotFound"}
        return 200, body, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": REVISION}


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(repository())
    thread = Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()
    thread.join()


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return {
        **own,
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "no_proxy": "127.0.0.1",
    }


def fetched(environment: dict[str, str], model: str = "someone/model", kind: str = "checkpoint") -> str:
    """What PROGRAM says; it says nothing else, on either stream."""
    command = [sys.executable, "-c", PROGRAM, model, kind]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_what_is_wanted_is_fetched_once(hub: Hub, environment: dict[str, str]) -> None:
    assert set(fetched(environment).split()) == WANTED
    assert not any(path.endswith((".bin", ".ckpt", ".py", ".non_ema.safetensors", ".md")) for path in hub.asked)
    hub.asked.clear()
    assert set(fetched(environment).split()) == WANTED
    assert hub.asked == []
    assert set(fetched({**environment, "HF_HUB_OFFLINE": "1"}).split()) == WANTED


def test_what_an_interruption_left_out_is_fetched(hub: Hub, environment: dict[str, str]) -> None:
    fetched(environment)
    (lost,) = Path(environment["HF_HOME"]).rglob("vae/*.safetensors")
    lost.unlink()
    offline = fetched({**environment, "HF_HUB_OFFLINE": "1"})
    assert offline.startswith("refused:") and "hf download someone/model" in offline
    assert set(fetched(environment).split()) == WANTED


@pytest.mark.parametrize("why", ["offline", "unreachable", "unknown"])
def test_what_cannot_be_fetched_says_how_to(why: str, hub: Hub, environment: dict[str, str]) -> None:
    model = "someone/else" if why == "unknown" else "someone/model"
    changed = {"offline": {"HF_HUB_OFFLINE": "1"}, "unreachable": {"HF_ENDPOINT": "http://127.0.0.1:9"}, "unknown": {}}
    said = fetched({**environment, **changed[why]}, model)
    assert said.startswith("refused:") and f"hf download {model}" in said and "\n" not in said
    assert why == "unknown" or hub.asked == []


def test_where_there_is_only_half_precision_it_is_fetched(hub: Hub, environment: dict[str, str]) -> None:
    hub.files = repository("{}.fp16.safetensors")
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in fetched(environment)


def test_shards_are_fetched_with_their_index(hub: Hub, environment: dict[str, str]) -> None:
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": dict(zip("ab", shards, strict=True))}
    hub.files = {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        **{name: tensors(key) for name, key in zip(shards, "ab", strict=True)},
        "pytorch_model.bin": b"pickle",
        "model.fp16.safetensors": tensors("a", "b"),
    }
    wanted = {"config.json", "model.safetensors.index.json", *shards}
    assert set(fetched(environment, kind="model").split()) in (wanted, wanted | {"model.fp16.safetensors"})
    assert not any(path.endswith(".bin") for path in hub.asked)


def test_a_file_that_is_not_what_the_hub_states_is_removed_and_fetched_again(
    hub: Hub, environment: dict[str, str]
) -> None:
    name = "unet/diffusion_pytorch_model.safetensors"
    sound, damaged = hub.files[name], hub.files[name][:-1] + b"\1"
    hub.hashes = {name: hashlib.sha256(sound).hexdigest()}
    hub.files[name] = damaged
    said = fetched(environment)
    assert said.startswith("refused:") and f"{name} arrived damaged and was removed" in said and "\n" not in said
    hub.files[name] = sound
    assert set(fetched(environment).split()) == WANTED


def command(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "pnpvideo", "models", "fetch", *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)


def test_a_command_that_is_told_to_stay_offline_asks_no_network(hub: Hub, environment: dict[str, str]) -> None:
    ended = command({**environment, "HF_HUB_OFFLINE": "0"}, "someone/model", "--offline")
    assert ended.returncode == 4 and "someone/model" in ended.stderr and "hf download" in ended.stderr
    assert hub.asked == []


def test_of_two_precisions_one_is_wanted() -> None:
    names = [*repository(), *repository("{}.fp16.safetensors")]
    for half in (False, True):
        weights = [name for name in wanted(names, ("unet", "vae", "text_encoder"), half) if "safetensors" in name]
        assert len(weights) == 3 and all((".fp16." in name) == half for name in weights)
    assert "unet/diffusion_pytorch_model.safetensors" in wanted(repository(), ("unet",), half=True)


@pytest.mark.slow
def test_the_command_fetches_half_a_checkpoint_once(hub: Hub, environment: dict[str, str], checkpoint: Path) -> None:
    """Of both precisions the one that was asked for; a later run finds it, without a network."""
    full = {str(path.relative_to(checkpoint)): path.read_bytes() for path in checkpoint.rglob("*") if path.is_file()}
    hub.files = full | {
        name.replace(".safetensors", ".fp16.safetensors"): body for name, body in full.items() if "safetensors" in name
    }
    absent = command({**environment, "HF_HUB_OFFLINE": "1"}, "someone/model", "--half")
    assert absent.returncode == 4 and len(absent.stderr.splitlines()) == 1 and hub.asked == []
    ended = command(environment, "someone/model", "--half", "--json")
    assert ended.returncode == 0 and "downloading" in ended.stderr
    folder = Path(json.loads(ended.stdout)["folder"])
    weights = [path.name for path in folder.rglob("*.safetensors")]
    assert len(weights) >= 3 and all(name.endswith(".fp16.safetensors") for name in weights)
    hub.asked.clear()
    again = command({**environment, "HF_HUB_OFFLINE": "1"}, "someone/model")
    assert (again.returncode, again.stdout.strip(), again.stderr) == (0, str(folder), "") and hub.asked == []


def listening(environment: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", LISTENING]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def small_model(weights: int = 1000) -> dict[str, bytes]:
    return {"config.json": b"{}", "model.safetensors": save({"a": torch.zeros(weights)}, {"format": "pt"})}


def test_a_download_is_told_from_beginning_to_end(hub: Hub, environment: dict[str, str]) -> None:
    """Name, size and place, how to stop and go on, the bytes in between while a file is half there, and the end."""
    hub.files = small_model(10_000_000)  # libraries write blocks of 10 MB
    hub.go_on["model.safetensors"] = Event()
    total = sum(map(len, hub.files.values()))
    with listening(environment) as child:
        assert child.stdout is not None
        events = []
        for line in child.stdout:
            events.append(json.loads(line))
            if len(hub.files["model.safetensors"]) // 4 < events[-1].get("done", 0) < total:
                hub.go_on["model.safetensors"].set()
        _, said = child.communicate()
    assert child.returncode == 0 and said == ""
    notice, *progress = events
    assert notice["event"] == "Notice"
    for word in ("40.0 MB of someone/model", environment["HF_HOME"], "Ctrl-C stops", "the same command goes on"):
        assert word in notice["message"]
    assert {(event["stage"], event["unit"], event["total"]) for event in progress} == {("download", "byte", total)}
    done = [event["done"] for event in progress]
    assert done[0] == 0 and done[-1] == total and done == sorted(done)
    assert any(0 < count < total for count in done)


def test_what_is_there_counts_as_done(hub: Hub, environment: dict[str, str]) -> None:
    hub.files = small_model()
    with listening(environment) as child:
        child.communicate()
    (lost,) = Path(environment["HF_HOME"]).rglob("model.safetensors")
    lost.unlink()
    size = len(hub.files["model.safetensors"])
    with listening(environment) as child:
        out, _ = child.communicate()
    notice, begun, *_, ended = map(json.loads, out.splitlines())
    assert "4.1 kB of someone/model" in notice["message"] and "2 B are there" in notice["message"]
    assert (begun["done"], begun["total"], ended["done"]) == (2, 2 + size, 2 + size)
    with listening(environment) as child:
        assert child.communicate()[0] == "", "nothing is fetched, and nothing is said"


def test_a_hub_that_states_no_sizes_is_told_without_a_total(hub: Hub, environment: dict[str, str]) -> None:
    hub.files, hub.knows_sizes = small_model(), False
    with listening(environment) as child:
        out, _ = child.communicate()
    notice, *progress = map(json.loads, out.splitlines())
    assert "downloading of" not in notice["message"] and notice["message"].startswith("downloading someone/model")
    assert {event["total"] for event in progress} == {0}
