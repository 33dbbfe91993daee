"""The facts of a run, ready for JSON: enough to repeat it and to check what came out."""

import hashlib
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pnpvideo.options import TranslateOptions
from pnpvideo.video.write import Writer


def run_report(
    model: str,
    options: TranslateOptions,
    prompt: str,
    writer: Writer,
    timings: dict[str, float],
    counts: dict[str, int],
    seconds: float,
) -> dict[str, Any]:
    """model: fingerprint of the weights. timings: seconds of each stage. counts: shots, frames, drawings."""
    stated = asdict(options)
    stated["store"] = None if options.store is None else str(options.store)
    return {
        "prompt": prompt,
        "options": stated,
        **counts,
        "seconds": round(seconds, 3),
        "seconds_by_stage": {stage: round(value, 3) for stage, value in timings.items()},
        "model_sha256": model,
        "output_sha256": file_hash(writer.path) if writer.path.is_file() else None,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("pnpvideo", "torch", "diffusers", "transformers")},
        },
    }


def file_hash(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
