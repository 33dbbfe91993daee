"""Hashes of weights: of whole files, remembered until a file changes, and compared with those that a folder states."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import platformdirs
import pytest
import torch

from pnpvideo.backends.fingerprint import fingerprint, sha256
from pnpvideo.backends.learned_words import LEARNED_WORDS
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.measure.judge import Judge
from pnpvideo.miniature import WEIGHTS
from pnpvideo.words.caption import Captioner
from tests.backends.originals import original, write_folder, write_single

SIZE = 65 << 20
ALL = ("",)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of 65 MiB that has not changed for a while: one that just did is not remembered."""
    folder = tmp_path_factory.mktemp("large")
    with open(folder / "model.safetensors", "wb") as file:
        file.truncate(SIZE)
    time.sleep(2.1)
    return folder


@pytest.fixture(autouse=True)
def memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "cache"))
    return platformdirs.user_cache_path("pnpvideo") / "weights-sha256.json"


def write_middle(path: Path, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(SIZE // 2 + 12345)
        file.write(content)


def test_a_block_in_the_middle_counts(large: Path) -> None:
    path = large / "model.safetensors"
    before, stated = fingerprint(large, ALL), path.stat()
    write_middle(path, b"x")
    os.utime(path, ns=(stated.st_atime_ns, stated.st_mtime_ns))
    assert fingerprint(large, ALL) != before
    write_middle(path, b"\0")
    assert fingerprint(large, ALL) == before


def test_a_file_is_hashed_once(large: Path, memo: Path) -> None:
    path = large / "model.safetensors"
    time.sleep(2.1)
    found = sha256(path)
    assert found == hashlib.sha256(path.read_bytes()).hexdigest()
    memo.write_text(memo.read_text().replace(found, "0" * 64))
    assert sha256(path) == "0" * 64  # as remembered: the file was not read
    memo.write_text(memo.read_text().replace("0" * 64, "nothing"))
    assert sha256(path) == found
    os.utime(path)
    memo.write_text(memo.read_text().replace(found, "0" * 64))
    assert sha256(path) == found


@pytest.mark.parametrize("damage", ["text", "list", "deep", "folder", "no folder", "zeros"])
def test_a_damaged_memory_costs_time_only(damage: str, large: Path, memo: Path) -> None:
    if damage == "no folder":
        memo.parent.parent.mkdir(parents=True, exist_ok=True)
        memo.parent.write_text("a file")
    else:
        memo.parent.mkdir(parents=True)
        content = {"text": "{", "list": "[]", "deep": "[" * 100_000, "zeros": "\0" * 1000}
        memo.mkdir() if damage == "folder" else memo.write_text(content[damage])
    assert sha256(large / "model.safetensors") == sha256(large / "model.safetensors")


def test_the_miniature_is_known(memo: Path) -> None:
    """A stored trajectory is found again by this."""
    backend = StableDiffusion("miniature", torch.device("cpu"), torch.float32)
    suffixes = (".json", ".txt", ".safetensors")
    parts = sorted(path for path in WEIGHTS.rglob("*") if path.suffix in suffixes and path.name != LEARNED_WORDS)
    digest = hashlib.sha256()
    for path in parts:
        digest.update(f"{path.relative_to(WEIGHTS).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    assert backend.fingerprint == digest.hexdigest() and not memo.exists()


@pytest.fixture(params=["checkpoint", "captioner", "judge"])
def summed(request: pytest.FixtureRequest, checkpoint: Path, tmp_path: Path) -> tuple[type, Path, Path]:
    """(class, a folder with SHA256SUMS, a file of it)."""
    kind, source, weights = {
        "checkpoint": (StableDiffusion, checkpoint, "unet/diffusion_pytorch_model.safetensors"),
        "captioner": (Captioner, WEIGHTS / "captioner", "model.safetensors"),
        "judge": (Judge, WEIGHTS / "judge", "model.safetensors"),
    }[request.param]
    folder = Path(shutil.copytree(source, tmp_path / "copy"))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return kind, folder, folder / weights


def load(kind: type, folder: Path) -> None:
    if kind is StableDiffusion:
        StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    else:
        kind(str(folder))


def test_files_that_are_as_stated_load(summed: tuple[type, Path, Path]) -> None:
    load(*summed[:2])


def test_a_file_that_is_not_as_stated_is_refused_with_both_hashes(summed: tuple[type, Path, Path]) -> None:
    kind, folder, weights = summed
    stated = hashlib.sha256(weights.read_bytes()).hexdigest()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{hashlib.sha256(content).hexdigest()}, stated is {stated}"):
        load(kind, folder)


def test_a_config_that_is_not_as_stated_is_refused(summed: tuple[type, Path, Path]) -> None:
    kind, folder, weights = summed
    with open(weights.parent / "config.json", "a") as file:
        file.write("\n")
    with pytest.raises(ModelError, match=r"config\.json is not the file that .*SHA256SUMS states"):
        load(kind, folder)


def test_weights_that_the_list_leaves_out_are_refused(summed: tuple[type, Path, Path]) -> None:
    kind, folder, _ = summed
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "safetensors" not in line))
    with pytest.raises(ModelError, match="is not listed in"):
        load(kind, folder)


@pytest.mark.parametrize("content", ["0" * 64, "abc  model.safetensors", "\0" * 9])
def test_a_damaged_list_is_refused(content: str, summed: tuple[type, Path, Path]) -> None:
    kind, folder, _ = summed
    (folder / "SHA256SUMS").write_text(content)
    with pytest.raises(ModelError, match="SHA256SUMS"):
        load(kind, folder)


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A checkpoint in a single file."""
    whole = original(write_folder(tmp_path / "folder", "1.x"), "1.x")
    return write_single(tmp_path / "toon.safetensors", whole)


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["toon.safetensors.sha256", "SHA256SUMS"])
def test_a_single_file_is_compared_with_the_hash_beside_it(single: Path, name: str) -> None:
    sums = single.with_name(name)
    others = "" if name.startswith("toon") else f"{'0' * 64}  other.safetensors\n"
    sums.write_text(f"{hash_of(single)}  toon.safetensors\n{others}")
    load(StableDiffusion, single)
    sums.write_text(f"{'1' * 64}  toon.safetensors\n")
    with pytest.raises(ModelError, match=rf"toon.safetensors is not the file that .*{name} states: .*1{{64}}"):
        load(StableDiffusion, single)


def test_a_hash_beside_a_single_file_needs_no_name(single: Path) -> None:
    sums = single.with_name("toon.safetensors.sha256")
    sums.write_text(hash_of(single).upper() + "\n")
    load(StableDiffusion, single)
    sums.write_text("2" * 64)
    with pytest.raises(ModelError, match=r"stated is 2{64}"):
        load(StableDiffusion, single)


def test_a_list_that_leaves_a_single_file_out_says_nothing_of_it(single: Path) -> None:
    single.with_name("SHA256SUMS").write_text(f"{'0' * 64}  other.safetensors\n")
    load(StableDiffusion, single)
