"""The manifest: what an entry of the store holds, with a checksum over everything that it says."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pnpvideo.store.durable import replace_file

FORMAT = 1
"""Entries of any other format are left alone and computed again."""


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
    """``created_seconds`` is UNIX time; ``parts`` keeps the order in which the parts were first put."""

    kind: str
    key: str
    created_seconds: float = field(default_factory=time.time)
    parts: dict[str, Part] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        body = json.dumps(asdict(self), ensure_ascii=False)
        record = {"format": FORMAT, "sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body}
        replace_file(path, json.dumps(record).encode())

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """The manifest at ``path``; None where there is no file. Raises ForeignFormat and DamagedManifest."""
        try:
            record = json.loads(path.read_bytes())
            if record["format"] != FORMAT:
                raise ForeignFormat(f"format {record['format']!r}, not {FORMAT}")
            body = record["body"]
            if hashlib.sha256(body.encode()).hexdigest() != record["sha256"]:
                raise DamagedManifest("its checksum does not match")
            values = json.loads(body)
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DamagedManifest("it is not a manifest") from error
        parts = {name: Part(**part) for name, part in values.pop("parts").items()}
        return cls(**values, parts=parts)
