"""Rows are checked against each other."""

from pathlib import Path

import pytest

from pnpvideo.batch.checks import check_places
from pnpvideo.batch.rows import Row
from pnpvideo.errors import OptionError
from pnpvideo.settings.options import Options


def row(number: int, input: Path, output: str, mask: Path | None = None) -> Row:
    options = Options.from_flat({} if mask is None else {"mask": mask})
    return Row(number=number, place=f"row {number}", input=input, prompt="p", output=output, options=options)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("o.mp4", r"row 1 \(a.mp4\) and row 2 \(b.mp4\) both write .*o.mp4; name another output"),
        ("x/../o.mp4", "both write"),
        ("a.mp4", r"a.mp4 is what row 1 \(a.mp4\) reads; name another"),
        ("m.png", "m.png is what row 1"),
        ("jobs.toml", "is a file of this batch"),
        ("clips", r"clips is a folder that holds what row 2 \(b.mp4\) reads"),
        ("o.mp4/frames", r"row 2 \(b.mp4\) writes .*, into the output of row 1"),
    ],
)
def test_an_output_touches_nothing_else(second: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    rows = [
        row(1, tmp_path / "a.mp4", str(tmp_path / "o.mp4"), tmp_path / "m.png"),
        row(2, tmp_path / "clips/b.mp4", str(tmp_path / second)),
    ]
    with pytest.raises(OptionError, match=said):
        check_places(rows, [tmp_path / "jobs.toml"])


def test_inputs_of_one_glob_need_outputs_of_their_own(tmp_path: Path) -> None:
    rows = [row(1, tmp_path / name, str(tmp_path / "o.mp4")) for name in ("a.mp4", "b.mp4")]
    with pytest.raises(OptionError, match=r"put \{stem\} into output"):
        check_places(rows, [])


def test_inputs_may_be_shared(tmp_path: Path) -> None:
    check_places([row(n, tmp_path / "a.mp4", str(tmp_path / f"{n}.mp4")) for n in (1, 2)], [])
