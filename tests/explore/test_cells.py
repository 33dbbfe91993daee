"""Cells and their JSON: what is written is read back, and what is none is refused."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pnpvideo.errors import InputError, OptionError, PnPVideoError
from pnpvideo.explore.cells import FORMAT, Cell, read_cells
from pnpvideo.settings.options import KNOWN
from pnpvideo.video.span import TimeSpan

VALUES: dict[str, Any] = {
    "model": "miniature",
    "method": "pix2pix-zero",
    "change": ("ball", "cube"),
    "guidance": 7.5,
    "guidance_span": (0.0, 0.8),
    "frames": TimeSpan(Fraction("0.1"), None),
    "mask": Path("/masks/m.png"),
    "directions": (("/d/a.safetensors", 1.25), ("/d/b.safetensors", -0.1)),
    "memory": 3 * 2**29,
    "seed": 2**40,
    "compile": True,
    "regularize": 1.0,
    "negative": "ä 'b' \n",
}


def write(folder: Path, *cells: Cell, **more: Any) -> Path:
    path = folder / "cells.json"
    record = {
        "format": FORMAT,
        "input": "/clips/a.mp4",
        "input_sha256": None,
        "cells": [cell.record() for cell in cells],
    }
    path.write_text(json.dumps({**record, **more}), "utf-8")
    return path


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    cell = Cell(number=3, prompt="a (ball:1.2)", values=VALUES, dials={"guidance": "7.5"})
    (found,) = read_cells(write(tmp_path, cell)).cells
    assert found == cell
    assert found.options() == cell.options()
    (spanned,) = read_cells(write(tmp_path, Cell(values={"frames": (3, None)}))).cells
    assert spanned.values == {"frames": (3, None)} and spanned.prompt is None


def test_paths_do_not_depend_on_where_a_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    cell = Cell(values={"mask": Path("m.png"), "model": "model", "directions": (("d.pt", 1.0),)})
    path = write(tmp_path, cell)
    monkeypatch.chdir("/")
    (found,) = read_cells(path).cells
    assert found.values == {
        "mask": tmp_path / "m.png",
        "model": str(tmp_path / "model"),
        "directions": ((str(tmp_path / "d.pt"), 1.0),),
    }


def test_every_option_can_be_written() -> None:
    defaults = {name: spec.otherwise for name, spec in KNOWN.items() if spec.otherwise is not None}
    assert json.dumps(Cell(values=defaults).record())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda record: record.update(format="a notebook"), InputError, "holds no cells; accepted is a JSON file"),
        (lambda record: record.pop("input"), InputError, "damaged: it lacks or misstates 'input'"),
        (lambda record: record.update(cells=5), InputError, "damaged: it lacks or misstates '?5"),
        (lambda record: record["cells"][0].pop("number"), InputError, "'number'"),
        (lambda record: record["cells"][0].update(prompt=[1]), InputError, "damaged"),
        (lambda record: record["cells"][0]["options"].update(gain=3), OptionError, "unknown option 'gain'"),
        (lambda record: record["cells"][0]["options"].update(guidance="much"), OptionError, "guidance is 'much'"),
        (lambda record: record["cells"][0]["options"].update(mask=3), OptionError, "mask is 3"),
    ],
)
def test_another_file_is_refused(
    change: Callable[[dict[str, Any]], Any], error: type[PnPVideoError], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, Cell())
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(error, match=message) as raised:
        read_cells(path)
    assert "cells.json" in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}'])
def test_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json holds no (JSON|cells)"):
        read_cells(tmp_path / "x.json")
    with pytest.raises(InputError, match="is not there"):
        read_cells(tmp_path)
