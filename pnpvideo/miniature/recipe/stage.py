"""One training stage: a loop that can stop at any step and go on exactly where it stopped.

Everything random is drawn from (seed, step), so the slices of an interrupted run make the same weights as one
long run; the checkpoint holds weights, their moving average, the optimiser's state and the step.
"""

import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

SAVE_SECONDS = 120


@dataclass
class Stage:
    """``loss(step, generator)`` gives the loss of one batch; ``steps`` is the length of the whole stage."""

    name: str
    module: nn.Module
    loss: Callable[[int, torch.Generator], Tensor]
    steps: int
    rate: float
    average: float


def train(stage: Stage, folder: Path, deadline: float, device: str, workers: int = 1) -> bool:
    """Run ``stage`` until it is done or ``deadline`` (of time.monotonic) passes; True when it is done.

    ``folder`` receives NAME.pt (the checkpoint) and NAME.jsonl (the log of loss). ``workers`` threads make a batch each
    of every step, and their gradients are averaged: on a CPU so small a network keeps one core busy, not two. A slice
    with another number of them goes on too, but with other batches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module = stage.module.to(device).train()
    optimiser = torch.optim.AdamW(module.parameters(), stage.rate, betas=(0.9, 0.98), weight_decay=0.01)
    averaged = {name: value.detach().clone().float() for name, value in module.state_dict().items()}
    path, step = folder / f"{stage.name}.pt", 0
    if path.exists():
        saved = torch.load(path, map_location=device, weights_only=True)
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        averaged, step = saved["averaged"], saved["step"]
    saved_at, logged, total = time.monotonic(), 0, 0.0
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def gradients(number: int) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        loss = stage.loss(number, torch.Generator().manual_seed(number))
        return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

    pool = ThreadPoolExecutor(workers) if workers > 1 else None
    while step < stage.steps and time.monotonic() < deadline:
        for group in optimiser.param_groups:
            group["lr"] = stage.rate * _share(step, stage.steps)
        numbers = range(step * workers, (step + 1) * workers)
        found = list(pool.map(gradients, numbers) if pool else map(gradients, numbers))
        for parameter, *each in zip(parameters, *(grads for _, grads in found), strict=True):
            parameter.grad = None if each[0] is None else torch.stack(each).mean(0)
        loss = torch.stack([value for value, _ in found]).mean()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        decay = min(stage.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in module.state_dict().items():
                averaged[name].lerp_(value.float(), 1 - decay)
        logged, total = logged + 1, total + float(loss)
        if step % 100 == 0:
            with open(folder / f"{stage.name}.jsonl", "a") as log:
                log.write(json.dumps({"step": step, "loss": total / logged, "time": round(time.time())}) + "\n")
            logged, total = 0, 0.0
        if time.monotonic() - saved_at > SAVE_SECONDS or step == stage.steps:
            _save(path, module, optimiser, averaged, step)
            saved_at = time.monotonic()
    if pool:
        pool.shutdown()
    _save(path, module, optimiser, averaged, step)
    return step >= stage.steps


def averaged_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """The moving average of a stage's weights, as last saved."""
    return torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)["averaged"]


def _share(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: a short warm-up, then a cosine to 2%."""
    warm = min(1.0, (step + 1) / 100)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _save(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, averaged: dict, step: int) -> None:
    temporary = path.with_suffix(".part")
    state = {"module": module.state_dict(), "optimiser": optimiser.state_dict(), "averaged": averaged, "step": step}
    torch.save(state, temporary)
    os.replace(temporary, path)
