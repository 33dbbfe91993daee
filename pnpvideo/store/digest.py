"""Fingerprints of values: equal content has an equal hash in every process and on every machine."""

import hashlib
import struct
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any


def fingerprint(*parts: object) -> str:
    """Return the SHA-256, as 64 hexadecimal digits, of a canonical serialisation of ``parts``.

    Accepts str, int, float, bool, None, bytes, tuple, list, dict, enumeration members (by name), dataclass instances
    (their fields that take part in comparisons), numpy arrays and torch tensors, nested in any way. Types are
    distinguished (1, 1.0, True and "1" differ, and so do a tuple and a list); arrays include dtype and shape; the order
    of a dict does not matter. Raises TypeError for anything else.
    """
    digest = hashlib.sha256()
    for chunk in _serialise(parts):
        digest.update(chunk)
    return digest.hexdigest()


def _serialise(value: Any) -> Iterator[bytes | memoryview]:
    if value is None:
        yield b"N"
    elif isinstance(value, bool):
        yield b"T" if value else b"F"
    elif type(value) is int:
        yield from _with_length(b"i", str(value).encode())
    elif type(value) is float:
        yield b"f" + struct.pack(">d", value)
    elif type(value) is str:
        yield from _with_length(b"s", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        yield from _with_length(b"b", value)
    elif type(value) in (tuple, list):
        yield (b"t" if type(value) is tuple else b"l") + struct.pack(">Q", len(value))
        for item in value:
            yield from _serialise(item)
    elif type(value) is dict:
        yield b"d" + struct.pack(">Q", len(value))
        pairs = [(b"".join(_serialise(key)), item) for key, item in value.items()]
        for key, item in sorted(pairs, key=lambda pair: pair[0]):
            yield key
            yield from _serialise(item)
    elif isinstance(value, Enum):
        yield from _with_length(b"e", f"{type(value).__qualname__}.{value.name}".encode())
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _with_length(b"c", type(value).__qualname__.encode())
        yield from _serialise({field.name: getattr(value, field.name) for field in fields(value) if field.compare})
    else:
        yield from _serialise_array(value)


def _serialise_array(value: Any) -> Iterator[bytes | memoryview]:
    """Serialise an array or tensor. Neither library is imported: if there is an array of it, it is loaded already."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        yield from _serialise(("tensor", str(value.dtype), tuple(value.shape)))
        yield flat.numpy().data
    elif numpy is not None and isinstance(value, numpy.ndarray) and not value.dtype.hasobject:
        yield from _serialise(("array", value.dtype.str, tuple(value.shape)))
        yield value.tobytes()
    else:
        raise TypeError(
            f"a {type(value).__qualname__} has no fingerprint; accepted are plain values, arrays and tensors"
        )


def _with_length(tag: bytes, content: bytes) -> Iterator[bytes]:
    yield tag + struct.pack(">Q", len(content))
    yield content
