import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pnpvideo.errors import ModelError, OutputError
from pnpvideo.measure.benchmark import SPLITS
from pnpvideo.measure.footage import Footage
from pnpvideo.miniature.world import random_scene
from pnpvideo.student.apply import Applier
from pnpvideo.student.network import Generator, Shape
from pnpvideo.student.student_file import SHIPPED, Student, load_student, save_student, shipped_students
from pnpvideo.video.pixels import psnr

from .conftest import pictures


def test_a_student_comes_back_with_its_card(student: Student, tmp_path: Path) -> None:
    card = replace(student.card, about="cartoon to photo", teacher={"model": "m"}, figures={"psnr": 20.5})
    save_student(Student(student.network, card), tmp_path / "s")
    again = load_student(tmp_path / "s")
    assert again.card == card and not again.network.training
    picture = pictures(1)[0]
    one, other = Applier(student, precision="float32")(picture), Applier(again, precision="float32")(picture)
    assert np.abs(one.astype(int) - other).max() <= 1  # its file is in fp16


def test_students_that_ship_are_found_by_name_and_turn_cartoons_into_photos() -> None:
    assert shipped_students() == ["cartoon2photo"]
    student = load_student(Path("cartoon2photo"))
    size = (SHIPPED / "cartoon2photo/student.safetensors").stat().st_size
    assert size < 4_000_000 and student.card.figures["held_out"] == 100
    footage = Footage(random_scene(SPLITS["held-out"] + 3), "cartoon", "photo", 1, 256)
    (made,) = map(Applier(student, precision="float32"), footage.source)
    assert psnr(made, footage.truth[0]) > psnr(footage.source[0], footage.truth[0]) + 3


def test_a_folder_goes_before_a_student_that_ships(
    student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_student(student, Path("cartoon2photo"))
    assert load_student(Path("cartoon2photo")).card == student.card


def test_a_student_is_not_replaced_unasked(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path / "s")
    with pytest.raises(OutputError):
        save_student(student, tmp_path / "s")
    save_student(student, tmp_path / "s", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        stated = json.loads((folder / "student.json").read_text("utf-8"))
        change(stated)
        (folder / "student.json").write_text(json.dumps(stated), "utf-8")

    return damage


def other_width(folder: Path) -> None:
    network = Generator(Shape((8, 16), style=8))
    save_file(network.state_dict(), folder / "student.safetensors")


def infinite(folder: Path) -> None:
    tensors = load_file(folder / "student.safetensors")
    next(iter(tensors.values())).fill_(float("nan"))
    save_file(tensors, folder / "student.safetensors")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "student.json").unlink(), "not the card of a student"),
        (lambda folder: (folder / "student.safetensors").unlink(), "cannot be read"),
        (lambda folder: (folder / "student.safetensors").write_bytes(b"PK\3\4 pickled"), "cannot be read"),
        (lambda folder: (folder / "student.json").write_text("[" * 100_000), "not the card of a student"),
        (edited(lambda stated: stated.update(format="pnpvideo student 9")), "format 'pnpvideo student 9'"),
        (edited(lambda stated: stated["shape"].update(widths=[10**6, 8])), "not accepted"),
        (edited(lambda stated: stated["shape"].update(widths=[8] * 40)), "not accepted"),
        (edited(lambda stated: stated["shape"].update(code="import os")), "not the card of a student"),
        (edited(lambda stated: stated.update(size=[0, 32])), "not the card of a student"),
        (edited(lambda stated: stated.pop("size")), "not the card of a student"),
        (other_width, "does not fit"),
        (infinite, "NaN or infinity"),
    ],
)
def test_a_damaged_student_is_an_error(
    damage: Callable[[Path], object], told: str, student: Student, tmp_path: Path
) -> None:
    save_student(student, tmp_path / "s")
    damage(tmp_path / "s")
    with pytest.raises(ModelError, match=told):
        load_student(tmp_path / "s")


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'pnpvideo distill' makes one"):
        load_student(tmp_path / "missing")


def test_weights_are_half_precision_and_nothing_is_pickled(student: Student, tmp_path: Path) -> None:
    save_student(student, tmp_path / "s")
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"student.safetensors", "student.json"}
    assert {value.dtype for value in load_file(tmp_path / "s" / "student.safetensors").values()} == {torch.float16}
