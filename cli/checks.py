"""The checks of ``pnpvideo doctor``, one function each."""

import importlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pnpvideo import __version__
from pnpvideo.errors import PnPVideoError

LIBRARIES = ("numpy", "cv2", "PIL", "safetensors", "diffusers", "transformers", "accelerate", "kornia")
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow"}
ENCODERS = ("libx264", "libvpx-vp9", "aac", "libopus", "gif", "apng")
FREE_BYTES = 2 * 10**9  # that the store's disk should have
OLDEST_PYTHON = (3, 10)


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check. found: the state of this machine. fix: how to repair it; empty if ``ok``."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def examine(store: Path | None) -> list[Check]:
    """Run all checks. store: the store's folder; None: the one in the user's cache folder."""
    return [_python(), _processors(), *_torch(), *_libraries(), *_ffmpeg(), _miniature(), _store(store)]


def _python() -> Check:
    return Check(
        name="python",
        ok=sys.version_info >= OLDEST_PYTHON,
        found=f"{platform.python_version()}, {platform.platform()}, pnpvideo {__version__}",
        fix="" if sys.version_info >= OLDEST_PYTHON else "install Python 3.10 or later",
    )


def _processors() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    limit = f", OMP_NUM_THREADS={threads}" if threads else ""
    return Check(name="processors", ok=True, found=f"{usable} usable of {os.cpu_count()}{limit}")


def _torch() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check(name="torch", ok=False, found=str(error), fix="install PyTorch again: pip install torch")
        return
    yield Check(name="torch", ok=True, found=f"{torch.__version__}, {torch.get_num_threads()} threads")
    devices = ["cpu"]
    for index in range(torch.cuda.device_count()):
        total = torch.cuda.get_device_properties(index).total_memory
        devices.append(f"cuda:{index} ({torch.cuda.get_device_name(index)}, {total / 1e9:.0f} GB)")
    if torch.backends.mps.is_available():
        devices.append("mps")
    yield Check(name="devices", ok=True, found=", ".join(devices))


def _libraries() -> Iterator[Check]:
    for module in LIBRARIES:
        name = DISTRIBUTIONS.get(module, module)
        try:
            importlib.import_module(module)
            yield Check(name=name, ok=True, found=version(name))
        except (ImportError, OSError) as error:
            yield Check(name=name, ok=False, found=str(error), fix=f"install it again: pip install {name}")


def _ffmpeg() -> Iterator[Check]:
    from pnpvideo.video import ffmpeg

    fix = "reinstall imageio-ffmpeg, or name a complete ffmpeg with IMAGEIO_FFMPEG_EXE"
    try:
        import imageio_ffmpeg

        program = ffmpeg.executable()
        found = imageio_ffmpeg.get_ffmpeg_version()
        missing = sorted(set(ENCODERS) - ffmpeg.encoders())
    except (PnPVideoError, OSError, ValueError, RuntimeError) as error:
        yield Check(name="ffmpeg", ok=False, found=str(error), fix=fix)
        return
    yield Check(name="ffmpeg", ok=True, found=f"{found}, {program}")
    yield Check(
        name="encoders",
        ok=not missing,
        found=f"lacks {', '.join(missing)}" if missing else ", ".join(ENCODERS),
        fix=fix if missing else "",
    )


def _miniature() -> Check:
    from safetensors import SafetensorError, safe_open

    from pnpvideo.settings.models import ALIASES

    folder = Path(ALIASES["miniature"].source)
    weights = sorted(folder.glob("*/*.safetensors"))
    fix = "the installation is incomplete; install pnpvideo again"
    if not (folder / "model_index.json").is_file() or not weights:
        return Check(name="miniature", ok=False, found=f"no model in {folder}", fix=fix)
    for path in weights:
        try:
            with safe_open(path, framework="numpy") as file:
                file.keys()
        except (SafetensorError, OSError) as error:
            return Check(name="miniature", ok=False, found=f"{path} cannot be loaded: {error}", fix=fix)
    size = sum(path.stat().st_size for path in weights)
    return Check(name="miniature", ok=True, found=f"{len(weights)} networks, {size / 1e6:.0f} MB, {folder}")


def _store(root: Path | None) -> Check:
    from pnpvideo.store import Store

    folder = Store(root).root
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        return Check(
            name="store",
            ok=False,
            found=f"{folder} cannot be written to: {error.strerror}",
            fix="choose another folder with --store or PNPVIDEO_STORE",
        )
    return Check(
        name="store",
        ok=free >= FREE_BYTES,
        found=f"{folder}, {free / 1e9:.1f} GB free",
        fix="" if free >= FREE_BYTES else "free some space, or choose another folder with --store or PNPVIDEO_STORE",
    )
