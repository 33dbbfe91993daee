"""Which device and precision a run uses."""

import torch

from pnpvideo.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA, else MPS, else the CPU. DeviceError if the one named is absent."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as unknown:
        raise DeviceError(f"device is {name!r}; accepted: auto, cpu, cuda, cuda:N, mps") from unknown
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
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[name]
