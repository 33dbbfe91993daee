"""The facts of a run, ready for JSON: enough to repeat it and to check its output."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pnpvideo import __version__
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.option import plain
from pnpvideo.settings.options import Options
from pnpvideo.video import folder_entries

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "opencv-python-headless", "pillow", "imageio-ffmpeg")
"""Whose versions may change a result."""


def run_report(
    input: Path | str | None,
    prompt: str | None,
    options: Options,
    output: str,
    translator: ClipTranslator,
    seconds: float,
) -> dict[str, Any]:
    """options: as the user gave them. output: what names the result, see ``describe_output``.

    "resolved" has the values that the run used, "origins" who decided each.
    """
    run = translator.run
    used = run.options.flat() | {
        "device": str(run.backend.device),
        "dtype": str(run.backend.dtype).removeprefix("torch."),
    }
    return {
        "input": None if input is None else str(input),
        "input_sha256": _hash_if_there(input),
        "prompt": prompt,
        "options": plain(options.flat()),
        "resolved": plain(used),
        "origins": dict(run.options.origins),
        "texts": translator.texts,
        **translator.counts,
        "seconds": round(seconds, 3),
        "seconds_by_stage": {stage: round(value, 3) for stage, value in run.timings.items()},
        "model_fingerprint": run.backend.fingerprint,
        "output": output,
        "output_sha256": _hash_if_there(output),
        "files_sha256": file_hashes(options),
        "versions": {
            "python": platform.python_version(),
            "pnpvideo": __version__,
            **{name: version(name) for name in LIBRARIES},
        },
        "machine": _machine(run.backend.device),
    }


def file_hashes(options: Options) -> dict[str, str]:
    """Hashes of the files that options name, by path as text: mask, directions, controls, and a captioner's folder."""
    control, prompts = options.control, options.prompts
    named = [options.region.mask, *(Path(file) for file, _ in prompts.directions), *control.brought()]
    named += [Path(each.model) for each in control.stated()]
    named += [Path(prompts.captioner)] if prompts.captioner else []
    return {str(path): content_hash(path) for path in named if path is not None and path.exists()}


def _machine(device: torch.device) -> dict[str, Any]:
    """What of a machine may change the last bits of a result."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"system": platform.system(), "processor": name, "threads": torch.get_num_threads()}


def _hash_if_there(path: Path | str | None) -> str | None:
    return content_hash(Path(path)) if path is not None and Path(path).exists() else None


def content_hash(path: Path) -> str:
    """sha256 of a file, or of a folder of frames: of the names and hashes of its files, without what does not count."""
    if not path.is_dir():
        return file_hash(path)
    digest = hashlib.sha256()
    for member in sorted(each for each in folder_entries.counted(path) if each.is_file()):
        digest.update(f"{file_hash(member)} {member.name}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
