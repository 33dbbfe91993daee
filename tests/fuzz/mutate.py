"""Damage to bytes: anywhere, and by the structure of formats whose checksums or nesting hide what is inside."""

import contextlib
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 1e9, 1e308, 10**30, 10**400, float("nan"), float("inf")),
    *("", "x", "0", "null", "\0", "\x1b[31m", "../up.bin", "/dev/zero", "ä" * 50, "9" * 5000, "http://127.0.0.1:9/"),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": 1}}, [1, "x"], list(range(100))),
)
MOST_BYTES = 1 << 20
"""Of an input, before its last damage."""


def mutate(content: bytes, other: bytes, name: str, rng: Random) -> bytes:
    """``content``, which has the file name ``name``, with one to five damages; ``other`` is a file to splice with."""
    structural = next((damage for ends, damage in _STRUCTURES if name.endswith(ends)), None)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        content = content[:MOST_BYTES]
        if structural is not None and rng.random() < 0.5:
            with contextlib.suppress(Exception):  # an earlier damage has left nothing of the structure
                content = structural(content, rng)
                continue
        content = rng.choice(_BYTES)(content, other, rng)
    return content


def _place(content: bytes, rng: Random) -> int:
    """Anywhere, but half of the time near the beginning, where headers are."""
    return rng.randrange(min(len(content), 300) if rng.random() < 0.5 else len(content)) if content else 0


def _flip(content: bytes, other: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 16)) if changed else 0):
        changed[_place(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set(content: bytes, other: bytes, rng: Random) -> bytes:
    changed, place = bytearray(content), _place(content, rng)
    for n in range(place, min(len(changed), place + rng.choice((1, 1, 2, 8, 40)))):
        changed[n] = rng.choice((0, 0xFF, 0x7F, 0x80, 0x20, rng.randrange(256)))
    return bytes(changed)


def _field(content: bytes, other: bytes, rng: Random) -> bytes:
    """A number of 1 to 8 bytes, in either order, becomes an extreme one, or one more or less than it was."""
    size = rng.choice((1, 2, 4, 4, 8))
    order = rng.choice(("<", ">"))
    place = _place(content, rng)
    before = int.from_bytes(content[place : place + size], "little" if order == "<" else "big")
    value = rng.choice((*EXTREMES, before + 1, before - 1, before * 2, len(content))) % (1 << 8 * size)
    return content[:place] + value.to_bytes(size, "little" if order == "<" else "big") + content[place + size :]


def _cut(content: bytes, other: bytes, rng: Random) -> bytes:
    return content[: _place(content, rng)]


def _block(content: bytes, rng: Random) -> tuple[int, int]:
    start = _place(content, rng)
    return start, start + rng.choice((1, 2, 4, 16, 64, 188, 512, max(1, len(content) // 4)))


def _remove(content: bytes, other: bytes, rng: Random) -> bytes:
    start, end = _block(content, rng)
    return content[:start] + content[end:]


def _repeat(content: bytes, other: bytes, rng: Random) -> bytes:
    start, end = _block(content, rng)
    return content[:end] + content[start:end] * rng.choice((1, 1, 3, 50)) + content[end:]


def _insert(content: bytes, other: bytes, rng: Random) -> bytes:
    place = _place(content, rng)
    return content[:place] + rng.randbytes(rng.choice((1, 3, 16, 200))) + content[place:]


def _move(content: bytes, other: bytes, rng: Random) -> bytes:
    start, end = _block(content, rng)
    rest, place = content[:start] + content[end:], _place(content, rng)
    return rest[:place] + content[start:end] + rest[place:]


def _splice(content: bytes, other: bytes, rng: Random) -> bytes:
    return content[: _place(content, rng)] + other[_place(other, rng) :]


_BYTES = (_flip, _flip, _set, _set, _field, _field, _field, _cut, _remove, _repeat, _insert, _move, _splice)


def _png(content: bytes, rng: Random) -> bytes:
    """A chunk is changed, removed, repeated or moved, and the checksums are right."""
    chunks, place = [], 8
    while place + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    chunks = _rearranged(chunks, rng)
    return content[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _riff(content: bytes, rng: Random) -> bytes:
    """Likewise for the chunks of WebP and AVI."""
    chunks, place = [], 12
    while place + 8 <= len(content):
        (size,) = struct.unpack_from("<I", content, place + 4)
        chunks.append((content[place : place + 4], content[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    body = content[8:12] + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in _rearranged(chunks, rng)
    )
    return content[:4] + struct.pack("<I", len(body)) + body


_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"moof", b"traf", b"iprp", b"ipco", b"jp2h")


def _boxes(content: bytes, rng: Random) -> bytes:
    """A box of MP4, MOV, AVIF or JPEG 2000, at any depth, is changed, removed, repeated or moved; sizes are right."""
    boxes, place = [], 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        if size < 8 or place + size > len(content):
            break
        boxes.append((kind, content[place + 8 : place + size]))
        place += size
    inner = [n for n, (kind, _) in enumerate(boxes) if kind in _PARENTS]
    if inner and rng.random() < 0.8:
        n = rng.choice(inner)
        boxes[n] = (boxes[n][0], _boxes(boxes[n][1], rng))
    else:
        boxes = _rearranged(boxes, rng)
    return b"".join(struct.pack(">I4s", len(data) + 8, kind) + data for kind, data in boxes) + content[place:]


def _rearranged(parts: list[tuple[bytes, bytes]], rng: Random) -> list[tuple[bytes, bytes]]:
    n = rng.randrange(len(parts))
    kind, data = parts[n]
    way = rng.choice(("change", "change", "change", "remove", "repeat", "move", "rename", "empty"))
    if way == "change":
        parts[n] = kind, rng.choice((_flip, _set, _field, _field, _cut, _insert))(data, b"", rng)
    elif way == "remove":
        del parts[n]
    elif way == "repeat":
        parts.insert(rng.randrange(len(parts)), parts[n])
    elif way == "move":
        parts.insert(rng.randrange(len(parts)), parts.pop(n))
    elif way == "rename":
        parts[n] = rng.choice(parts)[0], data
    else:
        parts[n] = kind, b""
    return parts


def _tiff(content: bytes, rng: Random) -> bytes:
    """An entry of the first directory: its tag, type, count or value; or the whole entry once more over another."""
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, start)
    places = [start + 2 + 12 * n for n in range(min(count, 100))]
    changed, place = bytearray(content), rng.choice(places)
    way = rng.choice(("tag", "type", "count", "value", "copy"))
    if way == "tag":
        struct.pack_into(order + "H", changed, place, rng.choice((*range(254, 340), 0x8769, 0x8773, 34377, 65535)))
    elif way == "type":
        struct.pack_into(order + "H", changed, place + 2, rng.choice((*range(20), 65535)))
    elif way == "count":
        struct.pack_into(order + "I", changed, place + 4, rng.choice(EXTREMES) & 0xFFFFFFFF)
    elif way == "value":
        struct.pack_into(order + "I", changed, place + 8, rng.choice((*EXTREMES, *range(10))) & 0xFFFFFFFF)
    else:
        changed[place : place + 12] = content[(source := rng.choice(places)) : source + 12]
    return bytes(changed)


def _exif(content: bytes, rng: Random) -> bytes:
    """The TIFF inside of a JPEG's EXIF."""
    start = content.index(b"Exif\0\0") + 6
    size = int.from_bytes(content[start - 8 : start - 6], "big") - 8
    return content[:start] + _tiff(content[start : start + size], rng) + content[start + size :]


def _json(content: bytes, rng: Random) -> bytes:
    """A value somewhere in it becomes another one, a key goes or comes twice, or all of it is nested deeply."""
    value = json.loads(content)
    way = rng.choice(("value", "value", "value", "remove", "deep", "mark", "twice", "whole"))
    if way == "deep":
        depth = rng.choice((50, 2000, 100_000))
        return b"[" * depth + content + b"]" * depth if rng.random() < 0.5 else b'{"a":' * depth + b"1" + b"}" * depth
    if way == "mark":
        return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\0")) + content
    if way == "whole":
        return _dumped(rng.choice(STRANGE))
    holder, key = _somewhere(value, rng)
    if way == "value":
        holder[key] = rng.choice(STRANGE)
    elif way == "remove":
        del holder[key]
    else:
        return _dumped(value).replace(b"{", b"{" + _dumped(str(key)) + b":" + _dumped(rng.choice(STRANGE)) + b",", 1)
    return _dumped(value)


def _dumped(value: object) -> bytes:
    import sys

    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value).encode()
    finally:
        sys.set_int_max_str_digits(limit)


def _somewhere(value: Any, rng: Random) -> tuple[Any, Any]:
    holder, key = value, rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    while isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.8:
        holder = holder[key]
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    return holder, key


def _manifest(content: bytes, rng: Random) -> bytes:
    """A manifest of the store whose body is changed under a right checksum."""
    import hashlib

    record = json.loads(content)
    body = _json(record["body"].encode(), rng).decode("utf-8", "replace")
    return json.dumps({**record, "body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}).encode()


def _safetensors(content: bytes, rng: Random) -> bytes:
    """The header is changed as JSON, under a right length or an extreme one."""
    size = int.from_bytes(content[:8], "little")
    header = _json(content[8 : 8 + size], rng)
    stated = len(header) if rng.random() < 0.8 else rng.choice(EXTREMES)
    return stated.to_bytes(8, "little") + header + content[8 + size :]


def _archive(content: bytes, rng: Random) -> bytes:
    """A member of a zip file, such as a saved tensor's pickle, is changed, removed, renamed or repeated."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name.encode(), archive.read(name)) for name in archive.namelist()]
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore")  # the same name twice
        for name, data in _rearranged(members, rng):
            archive.writestr(
                zipfile.ZipInfo(name.decode()), data, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            )
    return stream.getvalue()


def _lines(content: bytes, rng: Random) -> bytes:
    """A line of a text goes, comes twice or is moved, or what stands after its "=" becomes something else."""
    lines = content.splitlines(keepends=True)
    n = rng.randrange(len(lines))
    way = rng.choice(("value", "value", "remove", "repeat", "move", "long", "deep"))
    if way == "value" and b" = " in lines[n]:
        lines[n] = lines[n].split(b" = ")[0] + b" = " + _dumped(rng.choice(STRANGE)) + b"\n"
    elif way == "remove":
        del lines[n]
    elif way == "repeat":
        lines.insert(n, lines[n])
    elif way == "move":
        lines.insert(rng.randrange(len(lines)), lines.pop(n))
    elif way == "long":
        lines[n] = (lines[n].rstrip(b"\n") * rng.choice((2, 100, 5000)))[:MOST_BYTES] + b"\n"
    else:
        depth = rng.choice((50, 2000, 100_000))
        lines[n] = b"a = " + b"[" * depth + b"]" * depth + b"\n"
    return b"".join(lines)


_STRUCTURES: tuple[tuple[tuple[str, ...], Callable[[bytes, Random], bytes]], ...] = (
    (("manifest.json",), _manifest),
    ((".json",), _json),
    ((".png", ".apng"), _png),
    ((".webp", ".avi"), _riff),
    ((".mp4", ".mov", ".avif", ".jp2"), _boxes),
    ((".tif",), _tiff),
    ((".jpg",), _exif),
    ((".safetensors",), _safetensors),
    ((".pt", ".ckpt"), _archive),
    ((".toml", ".txt", "SHA256SUMS"), _lines),
)
