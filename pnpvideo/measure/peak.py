"""Peak memory of a section of a program."""

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

import torch


class PeakMemory:
    """Peak memory since construction: of the GPU, as torch counts it, or of this process, on Linux."""

    def __init__(self, device: torch.device) -> None:
        self.device, self._start = device, 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._start = torch.cuda.memory_allocated(device)
        elif sys.platform == "linux":
            gc.collect()
            with suppress(OSError, AttributeError):
                ctypes.CDLL("libc.so.6").malloc_trim(0)  # return freed memory to the system, so that it is not counted
            Path("/proc/self/clear_refs").write_text("5")
            self._start = _status("VmRSS")

    def bytes(self) -> float:
        """Peak memory in bytes beyond what was in use at construction; NaN on systems other than Linux."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) - self._start
        return _status("VmHWM") - self._start if sys.platform == "linux" else float("nan")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
