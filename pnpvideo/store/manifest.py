"""The manifest of an entry of the store: its parts, with a checksum over everything that it says."""

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pnpvideo.store.durable import replace_file

FORMAT = 1
"""Entries of any other format are left alone and computed again."""
LARGEST_BYTES = 16 << 20
PART_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ForeignFormat(Exception):
    """The manifest is sound, but of another format version."""


class DamagedManifest(Exception):
    """The manifest is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of an entry. ``file`` is its name in the entry's folder, ``bytes`` its size."""

    file: str
    bytes: int
    sha256: str
    meta: dict[str, Any]


@dataclass(kw_only=True)
class Manifest:
    """``created_seconds`` is UNIX time; ``parts`` keeps the order in which the parts were first put.

    about: facts for a person who lists the store, such as the clip's name; earlier versions wrote none.
    """

    kind: str
    key: str
    about: dict[str, str] = field(default_factory=dict)
    created_seconds: float = field(default_factory=time.time)
    parts: dict[str, Part] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        body = json.dumps(asdict(self), ensure_ascii=False)
        record = {"format": FORMAT, "sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body}
        replace_file(path, json.dumps(record).encode())

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """Read the manifest at ``path``; None where there is no file. Raises ForeignFormat, DamagedManifest, OSError.

        Its checksum shows accidents, not intent: whoever writes to the store can make one that matches. So every value
        is checked, and a part names a file in the entry's own folder or nothing.
        """
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise DamagedManifest("it is too large for a manifest")
            record = json.loads(path.read_bytes())
            if record["format"] != FORMAT:
                raise ForeignFormat(f"format {record['format']!r}, not {FORMAT}")
            body = record["body"]
            if hashlib.sha256(body.encode()).hexdigest() != record["sha256"]:
                raise DamagedManifest("its checksum does not match")
            values = json.loads(body)
            parts = {name: _part(name, part) for name, part in values.pop("parts").items()}
            manifest = cls(**values, parts=parts)
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedManifest("it is not a manifest") from error
        stated = (manifest.kind, manifest.key), manifest.created_seconds
        if (
            not all(isinstance(text, str) for text in stated[0])
            or not _is_time(stated[1])
            or not _is_about(manifest.about)
        ):
            raise DamagedManifest("it holds values of other kinds")
        return manifest


def file_name(name: str, sha256: str) -> str:
    """The name of a part's file, made from the part's name and the hash of its content."""
    return f"{name}.{sha256[:16]}.safetensors"


def _part(name: str, values: dict[str, Any]) -> Part:
    part = Part(**values)
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
    """Whether this is a UNIX time that a calendar has, up to the year 9999."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 253402300800
