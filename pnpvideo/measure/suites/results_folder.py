"""Results on disk: a PNG for a still, a folder of PNGs for a clip; each says which key it was made by."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pnpvideo.publish import published, write_file

FIELD = "pnpvideo"
"""The text field that has the key."""


def save_result(path: Path, frames: Sequence[np.ndarray], key: str) -> None:
    """Write ``path``.png, or for several frames a folder ``path``, whole or not at all. Raises OutputError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(frames) == 1:
        write_file(path.with_name(f"{path.name}.png"), _png(frames[0], key))
        return
    with published(path) as building:
        building.mkdir()
        for index, frame in enumerate(frames):
            (building / f"{index:05d}.png").write_bytes(_png(frame, key))


def load_result(path: Path, count: int, key: str) -> list[np.ndarray] | None:
    """The frames that ``save_result`` wrote with this key; None where there is no such result, or a damaged one."""
    files = [path.with_name(f"{path.name}.png")] if count == 1 else [path / f"{n:05d}.png" for n in range(count)]
    frames = []
    try:
        for file in files:
            with Image.open(file) as image:
                image.load()
                if image.info.get(FIELD) != key:
                    return None
                frames.append(np.asarray(image.convert("RGB")))
    except (OSError, ValueError, SyntaxError):
        return None
    return frames


def _png(frame: np.ndarray, key: str) -> bytes:
    text, file = PngInfo(), io.BytesIO()
    text.add_text(FIELD, key)
    Image.fromarray(frame).save(file, "PNG", pnginfo=text)
    return file.getvalue()
