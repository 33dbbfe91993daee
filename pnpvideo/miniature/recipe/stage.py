"""One training stage: a loop that can be killed at any moment and goes on from its last checkpoint.

Everything random is drawn from (seed, step), so the slices of an interrupted run make the same weights as one long run;
the checkpoint holds weights, their moving average, the optimiser's state, the step and the processor time spent.
"""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pnpvideo.errors import PnPVideoError
from pnpvideo.miniature.recipe.precision import fastest, precision

SAVE_SECONDS, LOG_STEPS, INSPECT_SECONDS = 120, 100, 3600
AVERAGE_POWER = 6.94
"""Of the moving average (Karras et al. 2024, arXiv 2312.02696, eq. 123): about the last tenth of all steps counts."""


@dataclass(kw_only=True)
class Stage:
    """What is trained, on what, and how.

    loss(step, generator): the mean loss of a batch of ``batch`` samples. steps: length of the whole stage. rate: of
    AdamW, constant after ``warm_up`` steps, falling linearly to nothing over the last ``cooldown`` share. inspect: what
    to log of the network every hour, beside the loss.
    """

    name: str
    module: nn.Module
    loss: Callable[[int, torch.Generator], Tensor]
    batch: int
    steps: int
    rate: float
    warm_up: int = 100
    cooldown: float = 0.2
    beta2: float = 0.98
    inspect: Callable[[nn.Module], dict[str, Any]] | None = None

    def rate_at(self, step: int, time_left: float = 1.0) -> float:
        """The learning rate of ``step``; ``time_left``: share of the slice, where the stage ends with it."""
        left = min(time_left, (self.steps - step) / self.steps)
        return self.rate * min(1.0, (step + 1) / self.warm_up, left / self.cooldown)


def train(
    stage: Stage,
    folder: Path,
    deadline: float,
    device: str,
    *,
    workers: int = 1,
    dtype: torch.dtype | None = None,
    fit: bool = False,
) -> bool:
    """Run ``stage`` until it is done or ``deadline`` (of time.monotonic) passes; True when it is done.

    ``folder`` receives NAME.pt (the checkpoint) and NAME.jsonl (the log). ``workers`` threads make a batch each of
    every step, and their gradients are averaged: on a CPU so small a network keeps one core busy, not two. A slice with
    another number of them goes on too, but with other batches. ``dtype``: of autocast; None: whichever of float32 and
    bfloat16 makes a step faster here. ``fit``: the stage ends with this slice, whose last part is the cooldown. Raises
    PnPVideoError when the loss is no longer a number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module = stage.module.to(device).train()
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, stage.rate, betas=(0.9, stage.beta2), weight_decay=0.01, fused=True)
    averaged = {name: value.detach().clone().float() for name, value in module.state_dict().items()}
    path, step, spent_before = folder / f"{stage.name}.pt", 0, 0.0
    if path.exists():
        saved = torch.load(path, map_location=device, weights_only=True)
        step = saved["step"]
        if step >= stage.steps or saved.get("done"):
            return True
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        averaged, spent_before = saved["averaged"], saved["processor_seconds"]
    log = _Log(folder / f"{stage.name}.jsonl", stage.batch * workers)

    def gradients(number: int) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        with precision(device, dtype):
            loss = stage.loss(number, torch.Generator().manual_seed(number))
        return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

    def save(done: bool = False) -> None:
        state = {
            "module": module.state_dict(),
            "optimiser": optimiser.state_dict(),
            "averaged": averaged,
            "step": step,
            "done": done,
            "processor_seconds": spent_before + time.process_time() - began,
        }
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    if dtype is None:
        dtype, timed = fastest(device, lambda each: _timed(stage, parameters, step, device, each))
        log.write(step, precision=str(dtype), seconds_a_batch=timed)
    began, saved_at = time.process_time(), time.monotonic()
    inspected_at = saved_at - INSPECT_SECONDS if step else saved_at
    whole_slice = max(1e-9, deadline - saved_at)
    with ThreadPoolExecutor(workers) as pool:
        while step < stage.steps and time.monotonic() < deadline:
            for group in optimiser.param_groups:
                time_left = max(0.0, deadline - time.monotonic()) / whole_slice if fit else 1.0
                group["lr"] = stage.rate_at(step, time_left)
            numbers = range(step * workers, (step + 1) * workers)
            found = list(pool.map(gradients, numbers) if workers > 1 else map(gradients, numbers))
            for parameter, *each in zip(parameters, *(grads for _, grads in found), strict=True):
                parameter.grad = None if each[0] is None else torch.stack(each).mean(0)
            loss = float(torch.stack([value for value, _ in found]).mean())
            if loss != loss:
                raise PnPVideoError(f"the loss of {stage.name} is not a number at step {step}; {path} is from before")
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            step += 1
            _average(averaged, module, step)
            log.add(loss, step)
            if stage.inspect and time.monotonic() - inspected_at > INSPECT_SECONDS:
                log.write(step, **stage.inspect(module))
                inspected_at = time.monotonic()
            if time.monotonic() - saved_at > SAVE_SECONDS:
                save()
                saved_at = time.monotonic()
    done = fit or step >= stage.steps
    save(done)
    if stage.inspect and done:
        log.write(step, **stage.inspect(module))
    return done


def averaged_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """The moving average of a stage's weights, as last saved."""
    return torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)["averaged"]


def carry(checkpoint: Path, smaller: Path) -> None:
    """Write what of a checkpoint is worth carrying to another machine: the moving average alone, in fp16.

    It counts as a stage that is done: later stages begin with it, and it cannot be trained on.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    averaged = {name: value.half() for name, value in saved["averaged"].items()}
    kept = {key: saved[key] for key in ("step", "processor_seconds")}
    torch.save({"averaged": averaged, "done": True, **kept}, smaller)


def _average(averaged: dict[str, Tensor], module: nn.Module, step: int) -> None:
    """Move the average towards the weights after ``step`` steps."""
    share = 1 - (1 - 1 / step) ** (AVERAGE_POWER + 1)
    with torch.no_grad():
        state = module.state_dict()
        torch._foreach_lerp_(list(averaged.values()), [state[name].float() for name in averaged], share)


def _timed(stage: Stage, parameters: list[nn.Parameter], step: int, device: str, dtype: torch.dtype) -> float:
    """Processor seconds of one batch's gradients, after one to warm up."""
    for _ in range(2):
        start = time.process_time()
        with precision(device, dtype):
            loss = stage.loss(step, torch.Generator().manual_seed(step))
        torch.autograd.grad(loss, parameters, allow_unused=True)
    return time.process_time() - start


class _Log:
    """Lines of JSON: mean loss, samples seen, and samples an hour of the clock and of the processor."""

    def __init__(self, path: Path, batch: int) -> None:
        self.path, self.batch = path, batch
        self.losses: list[float] = []
        self.clock, self.processor = time.monotonic(), time.process_time()

    def add(self, loss: float, step: int) -> None:
        self.losses.append(loss)
        if step % LOG_STEPS:
            return
        clock, processor = time.monotonic(), time.process_time()
        samples = 3600 * self.batch * len(self.losses)
        self.write(
            step,
            loss=sum(self.losses) / len(self.losses),
            samples=step * self.batch,
            samples_an_hour=round(samples / max(1e-9, clock - self.clock)),
            samples_a_processor_hour=round(samples / max(1e-9, processor - self.processor)),
        )
        self.losses, self.clock, self.processor = [], clock, processor

    def write(self, step: int, **figures: Any) -> None:
        with open(self.path, "a") as log:
            log.write(json.dumps({"step": step, "time": round(time.time()), **figures}) + "\n")
