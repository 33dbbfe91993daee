"""Which number format trains faster here: it differs from processor to processor.

With AMX (recent Intel), bfloat16 is up to twice as fast as float32; without, it is up to 1.8 times slower.
"""

from collections.abc import Callable

import torch


def precision(device: str, dtype: torch.dtype | None) -> torch.autocast:
    """A context in which networks compute in ``dtype``; float32 and None: as they are."""
    enabled = dtype not in (None, torch.float32)
    return torch.autocast(torch.device(device).type, dtype if enabled else torch.bfloat16, enabled=enabled)


def fastest(device: str, seconds: Callable[[torch.dtype], float]) -> tuple[torch.dtype, dict[str, float]]:
    """float32 or bfloat16, whichever takes less by ``seconds``, and what each takes; bfloat16 on an accelerator."""
    if torch.device(device).type != "cpu":
        return torch.bfloat16, {}
    timed = {dtype: seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return min(timed, key=timed.__getitem__), {str(dtype): round(value, 4) for dtype, value in timed.items()}
