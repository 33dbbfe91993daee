"""Fingerprints: one hash for one content, whatever process or machine computes it."""

import hashlib
import struct
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any


def fingerprint(*parts: object) -> str:
    """SHA-256, as 64 hexadecimal digits, of a canonical serialisation of ``parts``.

    Accepted: str, int, float, bool, None, bytes, tuple, list, dict, enumeration members (by name), dataclass instances
    (those fields that count in comparisons), numpy arrays and torch tensors, nested at will. Types are told apart (1,
    1.0, True and "1" differ, and so do a tuple and a list); arrays count with dtype and shape; a dict's order does not
    matter. Anything else raises TypeError.
    """
    digest = hashlib.sha256()
    for chunk in _serialised(parts):
        digest.update(chunk)
    return digest.hexdigest()


def _serialised(value: Any) -> Iterator[bytes | memoryview]:
    if value is None:
        yield b"N"
    elif isinstance(value, bool):
        yield b"T" if value else b"F"
    elif type(value) is int:
        yield from _sized(b"i", str(value).encode())
    elif type(value) is float:
        yield b"f" + struct.pack(">d", value)
    elif type(value) is str:
        yield from _sized(b"s", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        yield from _sized(b"b", value)
    elif type(value) in (tuple, list):
        yield (b"t" if type(value) is tuple else b"l") + struct.pack(">Q", len(value))
        for item in value:
            yield from _serialised(item)
    elif type(value) is dict:
        yield b"d" + struct.pack(">Q", len(value))
        pairs = [(b"".join(_serialised(key)), item) for key, item in value.items()]
        for key, item in sorted(pairs, key=lambda pair: pair[0]):
            yield key
            yield from _serialised(item)
    elif isinstance(value, Enum):
        yield from _sized(b"e", f"{type(value).__qualname__}.{value.name}".encode())
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _sized(b"c", type(value).__qualname__.encode())
        yield from _serialised({field.name: getattr(value, field.name) for field in fields(value) if field.compare})
    else:
        yield from _array(value)


def _array(value: Any) -> Iterator[bytes | memoryview]:
    """Arrays are known by their library, which is loaded already if there is an array of it."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        yield from _serialised(("tensor", str(value.dtype), tuple(value.shape)))
        yield flat.numpy().data
    elif numpy is not None and isinstance(value, numpy.ndarray) and not value.dtype.hasobject:
        yield from _serialised(("array", value.dtype.str, tuple(value.shape)))
        yield value.tobytes()
    else:
        raise TypeError(
            f"a {type(value).__qualname__} has no fingerprint; accepted are plain values, arrays and tensors"
        )


def _sized(tag: bytes, content: bytes) -> Iterator[bytes]:
    yield tag + struct.pack(">Q", len(content))
    yield content
