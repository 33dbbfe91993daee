"""The reader of one saved tensor: equal to torch.load where that is all there is, an error for anything else."""

import io
import pickle
import random
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from pnpvideo.errors import InputError
from pnpvideo.words.saved_tensor import read_tensor


def rewritten(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """The same zip with each entry's content changed."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, change(name, content))
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", ["plain", "part", "transposed", "expanded", "with gradient"])
def test_what_torch_saves_is_read(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    whole = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    made = {
        "plain": whole[:1].clone(),
        "part": whole[1:2, 2:4],
        "transposed": whole.transpose(1, 2),
        "expanded": whole[0, :1].expand(7, 5),
        "with gradient": whole.clone().requires_grad_(True),
    }[kind]
    torch.save(made, tmp_path / "x.pt")
    found = read_tensor(tmp_path / "x.pt")
    assert found.dtype == dtype and torch.equal(found, made.detach())


class Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


OTHERS: dict[str, Callable[[Path], Any]] = {
    "code": Harm,
    "list with code": lambda path: [torch.zeros(2), Harm(path)],
    "dict": lambda path: {"a": torch.zeros(2)},
    "two tensors": lambda path: (torch.zeros(2), torch.ones(2)),
    "number": lambda path: 3,
    "text": lambda path: "delta",
    "whole numbers": lambda path: torch.zeros(3, dtype=torch.int64),
    "complex": lambda path: torch.zeros(3, dtype=torch.complex64),
    "empty": lambda path: torch.zeros(0, 3),
    "parameter": lambda path: torch.nn.Parameter(torch.zeros(3)),
    "sparse": lambda path: torch.eye(3).to_sparse(),
    "module": lambda path: torch.nn.Linear(2, 2),
    "large": lambda path: torch.zeros(1).expand(1 << 24),
}


@pytest.mark.parametrize("other", list(OTHERS))
@pytest.mark.parametrize("legacy", [False, True])
def test_what_is_not_one_tensor_is_refused(other: str, legacy: bool, tmp_path: Path) -> None:
    torch.save(OTHERS[other](tmp_path / "harmed"), tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"x\.pt"):
        read_tensor(tmp_path / "x.pt")
    assert not (tmp_path / "harmed").exists()


def integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + value.to_bytes(4, "little", signed=True) for value in values) + b"t"


def crafted(
    path: Path,
    *,
    elements: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    key: bytes = b"0",
    content: bytes = bytes(24),
    order: bytes = b"little",
    call: bytes = b"ctorch._utils\n_rebuild_tensor_v2\n",
    kind: bytes = b"ctorch\nFloatStorage\n",
) -> Path:
    """A file as torch.save writes it, of tensor facts that may lie."""
    text = b"X" + len(key).to_bytes(4, "little") + key
    storage = b"(X\x07\0\0\0storage" + kind + text + b"X\x03\0\0\0cpuJ" + elements.to_bytes(4, "little") + b"tQ"
    pickled = b"\x80\x02" + call + b"(" + storage + b"J" + offset.to_bytes(4, "little", signed=True)
    pickled += integers(shape) + integers(strides) + b"\x89ccollections\nOrderedDict\n)RtR."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickled)
        archive.writestr("x/byteorder", order)
        archive.writestr("x/data/0", content)
    return path


def test_the_crafted_file_is_read_when_it_does_not_lie(tmp_path: Path) -> None:
    assert torch.equal(read_tensor(crafted(tmp_path / "x.pt")), torch.zeros(2, 3))


@pytest.mark.parametrize(
    "lie",
    [
        {"shape": (77, 1 << 22), "strides": (0, 0)},
        {"shape": (2**31 - 1, 2**31 - 1), "strides": (0, 0)},
        {"shape": (1 << 23,) * 4, "strides": (0, 0, 0, 0)},
        {"shape": (4, 3)},
        {"strides": (4, 1)},
        {"strides": (-3, 1)},
        {"shape": (-2, 3)},
        {"shape": (0, 3)},
        {"shape": (), "strides": ()},
        {"shape": (2, 3), "strides": (3,)},
        {"shape": (1,) * 5, "strides": (1,) * 5},
        {"offset": 1},
        {"offset": -1},
        {"elements": 2**31 - 1},
        {"elements": 7},
        {"elements": 5},
        {"content": bytes(23)},
        {"content": bytes(1 << 20)},
        {"key": b"../../x"},
        {"key": b"1"},
        {"order": b"big"},
        {"call": b"cos\nsystem\n"},
        {"call": b"ctorch\nload\n"},
        {"call": b"ccollections\nOrderedDict\n"},
        {"kind": b"ctorch._utils\n_rebuild_tensor_v2\n"},
        {"kind": b"ctorch\nnn\n"},
    ],
)
def test_a_file_that_lies_is_refused(lie: dict[str, Any], tmp_path: Path) -> None:
    path = crafted(tmp_path / "x.pt", **lie)
    with pytest.raises(InputError, match=r"x\.pt"):
        read_tensor(path)


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    """It could be a thousand times as long as it seems."""
    torch.save(torch.zeros(1 << 20), tmp_path / "x.pt")
    path = rewritten(tmp_path / "x.pt", lambda name, content: content, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed or too long"):
        read_tensor(path)


def test_an_endless_pickle_is_refused(tmp_path: Path) -> None:
    path = crafted(tmp_path / "x.pt")
    rewritten(path, lambda name, content: b"(" * (1 << 22) if name.endswith(".pkl") else content)
    with pytest.raises(InputError, match="compressed or too long"):
        read_tensor(path)


def with_pickle(pickled: bytes, name: str, content: bytes) -> bytes:
    return pickled if name.endswith(".pkl") else content


def test_a_damaged_file_is_an_error_or_a_tensor(tmp_path: Path) -> None:
    """Four hundred files with some bytes changed, cut or repeated, in the pickle or anywhere."""
    draw, buffer, path = random.Random(0), io.BytesIO(), tmp_path / "x.pt"
    torch.save(torch.zeros(1, 7, 5), buffer)
    with zipfile.ZipFile(buffer) as archive:
        pickled = archive.read("archive/data.pkl")
    refused = 0
    for number in range(400):
        damaged = bytearray(buffer.getvalue() if number % 2 else pickled)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        if draw.random() < 0.2:
            del damaged[draw.randrange(len(damaged)) :]
        if number % 2:
            path.write_bytes(damaged)
        else:
            path.write_bytes(buffer.getvalue())
            rewritten(path, partial(with_pickle, bytes(damaged)))
        try:
            assert read_tensor(path).numel() <= 35
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 100 < refused < 400


def test_reading_is_not_unpickling(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(pickle.dumps(Harm(tmp_path / "harmed")))
    with pytest.raises(InputError, match=r"x\.pt"):
        read_tensor(tmp_path / "x.pt")
    assert not (tmp_path / "harmed").exists()
