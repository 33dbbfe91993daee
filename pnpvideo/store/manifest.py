"""The manifest of a store entry: a JSON file that lists its parts, with a checksum over its own content."""

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pnpvideo.store.durable import replace_file

FORMAT = 1
"""Entries of another format are computed again, and left as they are until then."""
MAX_BYTES = 16 << 20
PART_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ForeignFormat(Exception):
    """The manifest is undamaged, but of another format version."""


class DamagedManifest(Exception):
    """The manifest is not what a store wrote."""


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """One part of an entry: ``file`` in the entry's folder, of ``bytes`` bytes, and its notes, ``meta``."""

    file: str
    bytes: int
    sha256: str
    meta: dict[str, Any]


@dataclass(kw_only=True)
class Manifest:
    """What an entry of ``kind`` and ``key`` consists of.

    about: facts for whoever lists the store, such as the clip's name; empty in manifests of earlier versions.
    created_seconds: UNIX time. parts: in the order in which they were first put.
    """

    kind: str
    key: str
    about: dict[str, str] = field(default_factory=dict)
    created_seconds: float = field(default_factory=time.time)
    parts: dict[str, PartRecord] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the manifest to ``path``, atomically. Raises OSError."""
        body = json.dumps(asdict(self))  # in ASCII: names of files need not be text
        record = {"format": FORMAT, "sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body}
        replace_file(path, json.dumps(record).encode())

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """Read the manifest at ``path``; None if there is no file. Raises ForeignFormat, DamagedManifest, OSError.

        The checksum detects accidents only: anyone who can write to the store can make one that matches. So every value
        is checked, and a part can only be a file in the entry's own folder.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise DamagedManifest("it is too large for a manifest")
            record = json.loads(path.read_bytes())
            if record["format"] != FORMAT:
                raise ForeignFormat(f"format {record['format']!r}, not {FORMAT}")
            body = record["body"]
            if hashlib.sha256(body.encode()).hexdigest() != record["sha256"]:
                raise DamagedManifest("its checksum does not match")
            values = json.loads(body)
            parts = {name: _check_part(name, part) for name, part in values.pop("parts").items()}
            manifest = cls(**values, parts=parts)
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedManifest("it is not a manifest") from error
        texts = (manifest.kind, manifest.key)
        if not all(isinstance(text, str) for text in texts) or not _is_about(manifest.about):
            raise DamagedManifest("it holds values of other kinds")
        if not _is_time(manifest.created_seconds):
            raise DamagedManifest("its time is out of range")
        return manifest


def file_name(name: str, sha256: str) -> str:
    """Return the name of a part's file: the part's name and the beginning of its content's hash."""
    return f"{name}.{sha256[:16]}.safetensors"


def _check_part(name: str, values: dict[str, Any]) -> PartRecord:
    part = PartRecord(**values)
    sound = (
        PART_NAME.fullmatch(name)
        and isinstance(part.sha256, str)
        and _SHA256.fullmatch(part.sha256)
        and part.file == file_name(name, part.sha256)
        and type(part.bytes) is int
        and isinstance(part.meta, dict)
    )
    if not sound:
        raise DamagedManifest(f"its part {name[:100]!r} is not one that a store writes")
    return part


def _is_about(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_time(value: object) -> bool:
    """Whether ``value`` is a UNIX time from 1970 to the year 9999."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 253402300800
