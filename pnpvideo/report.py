"""The facts of a run, ready for JSON: enough to repeat it and to check its output."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pnpvideo import __version__
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.option import plain
from pnpvideo.settings.options import Options
from pnpvideo.video.write import Writer


def run_report(
    input: Path | str | None,
    prompt: str | None,
    options: Options,
    writer: Writer,
    translator: ClipTranslator,
    seconds: float,
) -> dict[str, Any]:
    """options: as the user gave them. "resolved" has the values that the run used, "origins" who decided each."""
    run = translator.run
    used = run.options.flat() | {
        "device": str(run.backend.device),
        "dtype": str(run.backend.dtype).removeprefix("torch."),
    }
    return {
        "input": None if input is None else str(input),
        "input_sha256": _hash_if_file(input),
        "prompt": prompt,
        "options": plain(options.flat()),
        "resolved": plain(used),
        "origins": dict(run.options.origins),
        "texts": translator.texts,
        **translator.counts,
        "seconds": round(seconds, 3),
        "seconds_by_stage": {stage: round(value, 3) for stage, value in run.timings.items()},
        "model_fingerprint": run.backend.fingerprint,
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
