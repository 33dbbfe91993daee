"""The facts of a run, ready for JSON: enough to repeat it and to check what came out."""

import hashlib
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from pnpvideo import __version__
from pnpvideo.options import TranslateOptions
from pnpvideo.resolved import Resolved
from pnpvideo.video.span import TimeSpan
from pnpvideo.video.write import Writer


class Translated(Protocol):
    """What the report asks of the engine."""

    resolved: Resolved
    texts: list[dict[str, str]]
    counts: dict[str, int]
    timings: dict[str, float]


def run_report(
    input: Path | str | None,
    prompt: str | None,
    options: TranslateOptions,
    writer: Writer,
    model: str,
    translator: Translated,
    seconds: float,
) -> dict[str, Any]:
    """model: fingerprint of the weights. options: as given; what "auto" and None came to is said beside them."""
    stated = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(options).items()}
    if isinstance(options.frames, TimeSpan):
        stated["frames"] = str(options.frames)
    stated["directions"] = [list(pair) for pair in options.directions]
    stated["mask"] = None if options.mask is None else str(options.mask)
    stated["store"] = None if options.store is None else str(options.store)
    return {
        "input": None if input is None else str(input),
        "input_sha256": _hash_if_file(input),
        "prompt": prompt,
        "options": stated,
        "resolved": asdict(translator.resolved),
        "texts": translator.texts,
        **translator.counts,
        "seconds": round(seconds, 3),
        "seconds_by_stage": {stage: round(value, 3) for stage, value in translator.timings.items()},
        "model_fingerprint": model,
        "output": str(writer.path),
        "output_sha256": _hash_if_file(writer.path),
        "versions": {
            "python": platform.python_version(),
            "pnpvideo": __version__,
            **{name: version(name) for name in ("torch", "diffusers", "transformers")},
        },
    }


def _hash_if_file(path: Path | str | None) -> str | None:
    """None for a folder of frames, and where there is no file."""
    return file_hash(Path(path)) if path is not None and Path(path).is_file() else None


def file_hash(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
