"""Which device and precision a run uses. Loads torch when it is first asked for one, not before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pnpvideo.errors import DeviceError

if TYPE_CHECKING:
    import torch


def check_device_name(name: str) -> None:
    """Raise DeviceError for a name that no device has, on whichever machine."""
    if re.fullmatch(r"auto|(cpu|cuda|mps)(:(0|[1-9]\d?))?", name, re.ASCII) is None:
        raise DeviceError(f"device is {name!r}; accepted: auto, cpu, cuda, cuda:N, mps")


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA, else MPS, else the CPU. DeviceError if the one named is absent."""
    import torch

    check_device_name(name)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise DeviceError(f"device is {name!r}, which this machine does not have; use --device cpu or auto")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """ "auto" is float32 on a CPU, float16 elsewhere."""
    import torch

    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[name]
