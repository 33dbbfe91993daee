"""Files of edit directions: our own, in safetensors, and the ``.pt`` tensors of pix2pix-zero's authors."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from pnpvideo.errors import InputError
from pnpvideo.publish import write_file
from pnpvideo.words.direction import TENSORS, EditDirection
from pnpvideo.words.direction_check import check_direction_file
from pnpvideo.words.saved_tensor import read_tensor

FORMAT = "pnpvideo direction 1"


def save_direction(direction: EditDirection, path: Path, *, overwrite: bool = True) -> None:
    """Write ``direction`` as safetensors; the file appears whole or not at all. Raises OutputError."""
    about = {"format": FORMAT, "source": direction.source, "target": direction.target, "encoder": direction.encoder}
    content = to_bytes(direction.tensors(), metadata={**about, "counts": json.dumps(direction.counts)})
    write_file(path, content, overwrite=overwrite)


def load_direction(path: Path) -> EditDirection:
    """Read a direction: ours, or a ``.pt`` tensor of the reference project, of which no code is run.

    Raises InputError if ``path`` is not a file, is too large, or holds anything else.
    """
    check_direction_file(path)
    direction = _load_pt(path) if _is_zip(path) else _load_safetensors(path)
    _check(direction, path)
    return direction


def _is_zip(path: Path) -> bool:
    """Whether the file begins like a zip; zipfile.is_zipfile raises BadZipFile for some damaged files."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False  # reading it as safetensors reports the error


def _load_safetensors(path: Path) -> EditDirection:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise InputError(f"{path} is no direction: its format is {about.get('format')!r}, not {FORMAT!r}")
            present = set(file.keys())
            tensors = {name: file.get_tensor(name) for name in TENSORS if name in present}
            if not all(tensor.is_floating_point() for tensor in tensors.values()):
                raise InputError(f"{path} is no direction: its tensors are not of floating-point numbers")
            tensors = {name: tensor.float() for name, tensor in tensors.items()}
            return EditDirection(
                delta=tensors["delta"],
                word=tensors.get("word"),
                end=tensors.get("end"),
                pooled=tensors.get("pooled"),
                source=about["source"],
                target=about["target"],
                encoder=about["encoder"],
                counts=json.loads(about["counts"]),
            )
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as a direction: {error}") from error


def _load_pt(path: Path) -> EditDirection:
    """Read a file of the reference project: one tensor (1, tokens, channels), named after its concepts ("cat2dog")."""
    delta = read_tensor(path)
    if delta.ndim not in (2, 3) or (delta.ndim == 3 and len(delta) != 1):
        raise InputError(f"{path} does not hold one tensor of shape (1, tokens, channels)")
    source, _, target = path.stem.partition("2")
    return EditDirection(delta=delta.reshape(delta.shape[-2:]).float(), source=source, target=target, encoder="")


def _check(direction: EditDirection, path: Path) -> None:
    """Raise InputError unless the tensors are finite and of one shape (but the pooled one), and counts are counts."""
    for name, tensor in direction.tensors().items():
        shaped = tensor.ndim == 1 if name == "pooled" else tensor.ndim == 2 and tensor.shape == direction.delta.shape
        if not shaped or not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path} is no direction: it does not hold finite tensors (tokens, channels)")
    counts = direction.counts
    if not isinstance(counts, dict) or not all(_is_counts(each) for each in counts.values()):
        raise InputError(f"{path} is no direction: its counts of sentences are damaged")


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and "kept" in value and all(type(number) is int for number in value.values())
