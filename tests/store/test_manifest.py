"""The manifest: readable, and never believed without a check."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from pnpvideo.store import manifest
from pnpvideo.store.store import Store

from .conftest import KEY, put


def test_the_manifest_is_readable_json(store: Store) -> None:
    put(store, 1.0)
    record = json.loads((store.root / "trajectory" / KEY / "manifest.json").read_text())
    body = json.loads(record["body"])
    assert record["format"] == manifest.FORMAT
    assert body["parts"]["x"]["meta"] == {"value": 1.0}


def test_a_clip_whose_name_is_no_text_is_listed(store: Store) -> None:
    """Names of files are bytes; Python shows those that are not UTF-8 as lone surrogates."""
    store.about = {"clip": os.fsdecode(b"caf\xe9.mp4"), "model": "größe"}
    put(store, 1.0)
    assert store.list()[0].about == store.about


def forged(folder: Path, **changes: object) -> None:
    """Rewrite a manifest with a checksum that matches, as someone would who can write to the store."""
    path = folder / "manifest.json"
    record = json.loads(path.read_text())
    body = json.loads(record["body"])
    for name, value in changes.items():
        if name in ("file", "bytes", "sha256", "meta"):
            body["parts"]["x"][name] = value
        else:
            body[name] = value
    record["body"] = json.dumps(body)
    record["sha256"] = hashlib.sha256(record["body"].encode()).hexdigest()
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../../../secret"},
        {"file": "/etc/passwd"},
        {"file": 7},
        {"bytes": "7"},
        {"sha256": None},
        {"meta": []},
        {"parts": []},
        {"parts": {"../x": {}}},
        {"parts": {"x": {"file": "x"}}},
        {"created_seconds": "now"},
        {"created_seconds": 1e300},
        {"created_seconds": float("nan")},
        {"kind": 1},
        {"about": ["x"]},
        {"about": {"clip": 1}},
        {"more": 1},
    ],
)
def test_a_manifest_that_was_written_by_another_hand_is_computed_again(
    changes: dict[str, object], store: Store, notices: list[str]
) -> None:
    secret = store.root.parent / "secret"
    secret.write_bytes(b"secret")
    with store.entry("trajectory", KEY) as entry:
        entry.put("x", {"x": torch.ones(2)})
    forged(store.root / "trajectory" / KEY, **changes)
    (info,) = store.list()
    assert not info.usable
    with store.entry("trajectory", KEY) as entry:
        assert entry.names() == [] and entry.get("x") is None
        assert "damaged manifest" in notices[-1]
        entry.put("x", {"x": torch.zeros(2)})
    assert store.clear() == 1 and secret.read_bytes() == b"secret"
