"""A student's folder: its weights as safetensors in fp16, and a card in JSON that says where they come from."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from pnpvideo.errors import ModelError
from pnpvideo.publish import published
from pnpvideo.student.network import Generator, Shape

FORMAT = "pnpvideo student 1"
WEIGHTS, CARD = "student.safetensors", "student.json"
SHIPPED = Path(__file__).parent / "weights"
"""The folder of the students that come with pnpvideo, which are known by their names."""
WIDEST, DEEPEST = 1024, 6
"""Limits of what a card may state."""


@dataclass(frozen=True, kw_only=True)
class StudentCard:
    """What a student is.

    shape: of its generator. size: (width, height) in pixels of the pictures that it was trained on. about: what it
    does, in a few words. teacher: model, options and prompt that made the examples. training: recipe, pairs, steps and
    seconds. figures: what was measured on held-out examples.
    """

    shape: Shape
    size: tuple[int, int]
    about: str
    teacher: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Student:
    """A trained generator, in evaluation mode, with its card."""

    network: Generator
    card: StudentCard


def save_student(student: Student, folder: Path, *, overwrite: bool = False) -> None:
    """Write a student to ``folder``, which appears whole or not at all. Raises OutputError."""
    card = student.card
    stated = {
        "format": FORMAT,
        "about": card.about,
        "shape": card.shape.plain(),
        "size": list(card.size),
        "teacher": card.teacher,
        "training": card.training,
        "figures": card.figures,
    }
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in student.network.state_dict().items()}
    with published(folder, overwrite=overwrite) as path:
        path.mkdir()
        (path / WEIGHTS).write_bytes(to_bytes(tensors, metadata={"format": FORMAT}))
        (path / CARD).write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")


def shipped_students() -> list[str]:
    """The names of the students that come with pnpvideo."""
    return sorted(path.name for path in SHIPPED.glob("*") if path.is_dir())


def load_student(folder: Path) -> Student:
    """Read a student: a folder, or the name of one that comes with pnpvideo if there is no such folder.

    Raises ModelError if a file is missing, damaged, or does not fit the card.
    """
    if not folder.is_dir() and str(folder) in shipped_students():
        folder = SHIPPED / folder
    if not folder.is_dir():
        raise ModelError(
            f"{folder} is no folder of a student; 'pnpvideo distill' makes one, and these come with pnpvideo: "
            f"{', '.join(shipped_students())}"
        )
    card = _read_card(folder / CARD)
    network = Generator(card.shape)
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        network.load_state_dict(tensors)
    except (SafetensorError, OSError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise ModelError(f"{path} cannot be read, or does not fit {folder / CARD}: {why}") from error
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise ModelError(f"{path} holds NaN or infinity; the student is damaged")
    return Student(network.eval().requires_grad_(False), card)


def _read_card(path: Path) -> StudentCard:
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        if stated["format"] != FORMAT:
            raise ModelError(f"{path} is of format {stated['format']!r}; accepted is {FORMAT!r}")
        shape = Shape(**{**stated["shape"], "widths": tuple(int(width) for width in stated["shape"]["widths"])})
        numbers = (*shape.widths, shape.style, shape.latent + 1)
        if not 2 <= len(shape.widths) <= DEEPEST or not all(1 <= int(number) <= WIDEST for number in numbers):
            raise ModelError(f"{path}: the shape {stated['shape']} is not accepted; widths are up to {WIDEST}")
        width, height = (int(side) for side in stated["size"])
        if min(width, height) < 1:
            raise ValueError(f"its size is {width} x {height}")
        parts = {name: dict(stated[name]) for name in ("teacher", "training", "figures")}
        return StudentCard(shape=shape, size=(width, height), about=str(stated["about"]), **parts)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not the card of a student: {error}") from error
