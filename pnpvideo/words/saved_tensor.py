"""Read a ``.pt`` file of torch.save that holds one tensor, without running any code in it.

Such a file is a zip, uncompressed, of a pickle, which says how to build the tensor, and of the tensor's bytes. This
module interprets the few pickle instructions that one tensor needs; any other instruction or name is an error.
"""

import math
import pickletools
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pnpvideo.errors import InputError

MAX_PICKLE_BYTES, MAX_ELEMENTS = 1 << 14, 1 << 23
_DTYPES = {
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch DoubleStorage": torch.float64,
}
_REBUILD, _HOOKS = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
_MARK = object()


class _Unsupported(Exception):
    """The file is not what torch.save writes for one tensor."""


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    key: str
    elements: int


@dataclass(frozen=True)
class _TensorLayout:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensor(path: Path) -> Tensor:
    """Return the tensor in ``path``, in its own shape and dtype, on the CPU. Raises InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except _Unsupported as error:
        raise InputError(f"{path} is not one saved tensor: {error}") from error
    except Exception as error:  # whatever zipfile and pickletools raise of a damaged file
        raise InputError(f"{path} cannot be read as a saved tensor: {type(error).__name__}: {error}") from error


def _read(archive: zipfile.ZipFile) -> Tensor:
    names = archive.namelist()
    roots = [name.removesuffix("data.pkl") for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1 or len(set(names)) != len(names):
        raise _Unsupported("it has no data.pkl, or several")
    if f"{roots[0]}byteorder" in names and _read_stored(archive, f"{roots[0]}byteorder", 16) != b"little":
        raise _Unsupported("its bytes are not in little-endian order")
    layout = _interpret(_read_stored(archive, f"{roots[0]}data.pkl", MAX_PICKLE_BYTES))
    size = layout.storage.elements * layout.storage.dtype.itemsize
    content = _read_stored(archive, f"{roots[0]}data/{layout.storage.key}", size)
    if len(content) != size:
        raise _Unsupported(f"it states {size} bytes of data and holds {len(content)}")
    flat = torch.frombuffer(bytearray(content), dtype=layout.storage.dtype)
    return flat.as_strided(layout.shape, layout.strides, layout.offset).clone()


def _read_stored(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return an entry of at most ``most`` bytes; uncompressed, as torch.save writes it, so no longer than the file."""
    about = archive.getinfo(name)
    if about.compress_type != zipfile.ZIP_STORED or about.file_size > most or about.file_size != about.compress_size:
        raise _Unsupported(f"its {name} is compressed or too long")
    return archive.read(about)


def _interpret(pickled: bytes) -> _TensorLayout:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(pickled):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "GLOBAL":
                stack.append(_Global(_check_global(argument)))
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                stack.append(_MARK)
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                _pack_tuple(stack, len(stack) - int(opcode.name[-1]))
            case "TUPLE":
                mark = len(stack) - 1 - stack[::-1].index(_MARK)
                _pack_tuple(stack, mark + 1)
                del stack[mark]
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_reduce(stack.pop(), arguments))
            case "STOP":
                if len(stack) != 1 or not isinstance(stack[0], _TensorLayout):
                    raise _Unsupported("it holds something else")
                return stack[0]
            case _:
                raise _Unsupported(f"its pickle has the instruction {opcode.name}")
    raise _Unsupported("its pickle has no end")


def _check_global(name: str) -> str:
    if name not in (_REBUILD, _HOOKS, *_DTYPES):
        raise _Unsupported(f"its pickle names {name[:80]!r}")
    return name


def _pack_tuple(stack: list[Any], first: int) -> None:
    if first < 0:
        raise _Unsupported("its pickle is damaged")
    stack[first:] = [tuple(stack[first:])]


def _storage(reference: Any) -> _Storage:
    match reference:
        case ("storage", _Global(name), str(key), str(), int(elements)) if (
            name in _DTYPES and key.isdigit() and 1 <= elements <= MAX_ELEMENTS
        ):
            return _Storage(_DTYPES[name], key, elements)
    raise _Unsupported("its data is of a kind or size that is not read")


def _reduce(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case _Global(name), () if name == _HOOKS:
            return function
        case _Global(name), (
            _Storage() as storage,
            int(offset),
            tuple(shape),
            tuple(strides),
            bool(),
            _Global(hooks),
        ) if name == _REBUILD and hooks == _HOOKS:
            return _TensorLayout(storage, *_check_layout(storage, offset, shape, strides))
    raise _Unsupported("its pickle calls something else than what puts a tensor together")


def _check_numbers(numbers: Sequence[Any]) -> tuple[int, ...]:
    if not all(type(number) is int and 0 <= number <= MAX_ELEMENTS for number in numbers):
        raise _Unsupported("its shape has something else than whole numbers, or too large ones")
    return tuple(numbers)


def _check_layout(
    storage: _Storage, offset: int, shape: Sequence[Any], strides: Sequence[Any]
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return (offset, shape, strides). Raises _Unsupported if they reach beyond the storage."""
    (start,), sizes, steps = _check_numbers([offset]), _check_numbers(shape), _check_numbers(strides)
    elements = math.prod(sizes)
    last = start + sum((size - 1) * step for size, step in zip(sizes, steps, strict=False))
    if not 1 <= len(sizes) == len(steps) <= 4 or not 1 <= elements <= MAX_ELEMENTS or last >= storage.elements:
        raise _Unsupported(f"its shape {sizes} does not fit the {storage.elements} numbers that it holds")
    return start, sizes, steps
