"""The training loop: one stage, which can be killed at any moment and resumes from its last checkpoint.

Random numbers depend on (seed, step) alone, so an interrupted run gives the same weights as an uninterrupted one in the
same precision. A checkpoint (NAME.pt) holds the weights, their moving average, the state of the optimiser, the step and
the processor time used. Where there is none, a stage begins with the reduced checkpoint NAME.safetensors, if there is
one: the moving average in fp16, the step, and whether the stage is done (``keep_weights``). It is small enough for the
repository.

Either float32 or bfloat16 trains faster on a CPU: with AMX (recent Intel) bfloat16 is up to twice as fast, without it
up to 1.8 times as slow. So a stage times a step of both first.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pnpvideo.errors import PnPVideoError
from pnpvideo.miniature.recipe.workers import BatchWorkers, Gradients, batch_workers

SAVE_SECONDS, LOG_STEPS, INSPECT_SECONDS = 120, 100, 3600
AVERAGE_POWER = 6.94
"""Exponent of the moving average (Karras et al. 2024, arXiv 2312.02696, eq. 123): about the last tenth of all steps
counts."""

KEPT_DIGITS = 6
"""Binary digits of the weights of an unfinished stage in the repository: they are off by 1.6% at most."""

Loss = Callable[[int, torch.Generator], Tensor]
"""(step, generator) -> the mean loss of one batch."""


@dataclass(kw_only=True)
class Stage:
    """A network, its loss and its learning-rate schedule.

    batch: samples in each call of ``loss``. steps: length of the stage. rate: learning rate of AdamW, constant after
    ``warm_up`` steps, falling linearly to 0 over the last ``cooldown`` share of the steps. inspect: (network, path
    of a picture that it may write) -> figures of the averaged weights, which are logged every hour.
    """

    name: str
    module: nn.Module
    loss: Loss
    batch: int
    steps: int
    rate: float
    warm_up: int = 100
    cooldown: float = 0.2
    beta2: float = 0.98
    inspect: Callable[[nn.Module, Path], dict[str, Any]] | None = None

    def rate_at(self, step: int, time_left: float = 1.0, start: int = 0) -> float:
        """The learning rate of ``step``. time_left: share of the run's time that is left, if the stage ends with it.
        start: step with which the optimiser began."""
        left = min(time_left, (self.steps - step) / self.steps)
        return self.rate * min(1.0, (step - start + 1) / self.warm_up, left / self.cooldown)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings that every stage has. batch: samples a step; rate: learning rate."""

    batch: int
    steps: int
    rate: float
    device: str = "cpu"

    def stage(self, name: str, module: nn.Module, loss: Loss) -> Stage:
        """A stage with these settings and the default schedule."""
        return Stage(name=name, module=module, loss=loss, batch=self.batch, steps=self.steps, rate=self.rate)


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
    """Train until ``stage`` is done or time.monotonic() passes ``deadline``; True if it is done.

    folder: receives NAME.pt (the checkpoint) and NAME.jsonl (the log), and is read to resume. workers: batches of each
    step, whose gradients are averaged; on a CPU each has a process of its own, because a network this small does not
    use two cores. To resume with another number is possible, but changes the batches. dtype: of autocast; None: the
    faster of float32 and bfloat16. fit: end the stage with this run, the cooldown included. Raises PnPVideoError if the
    loss is NaN, or if a worker ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module = stage.module.to(device).train()
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, stage.rate, betas=(0.9, stage.beta2), weight_decay=0.01, fused=True)
    averaged = {name: value.detach().clone().float() for name, value in module.state_dict().items()}
    path, step, start, spent_before = folder / f"{stage.name}.pt", 0, 0, 0.0
    if path.exists():
        saved = torch.load(path, map_location=device, weights_only=True)
        step, start = saved["step"], saved.get("start", 0)
        if step >= stage.steps or saved.get("done"):
            return True
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        averaged, spent_before = saved["averaged"], saved["processor_seconds"]
    elif kept_path(folder, stage.name).exists():
        averaged, kept = _kept_weights(folder, stage.name)
        step = start = int(kept["step"])
        if step >= stage.steps or kept["done"]:
            return True
        averaged = {name: value.to(device) for name, value in averaged.items()}
        module.load_state_dict(averaged)
        spent_before = kept["processor_seconds"]
    log = _Log(folder / f"{stage.name}.jsonl", stage.batch * workers)

    def gradients(number: int) -> Gradients:
        with autocast(device, dtype):
            loss = stage.loss(number, torch.Generator().manual_seed(number))
        return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

    def save(done: bool = False) -> None:
        state = {
            "module": module.state_dict(),
            "optimiser": optimiser.state_dict(),
            "averaged": averaged,
            "step": step,
            "start": start,
            "done": done,
            "processor_seconds": spent_before + log.spent(),
        }
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def inspect(call: Callable[[nn.Module, Path], dict[str, Any]]) -> None:
        trained = {name: value.clone() for name, value in module.state_dict().items()}
        module.eval().load_state_dict(averaged)
        log.write(step, **call(module, folder / f"{stage.name}-{step}.png"))
        module.train().load_state_dict(trained)

    if dtype is None:
        dtype, seconds = fastest_dtype(device, lambda each: _batch_seconds(stage, parameters, step, device, each))
        log.write(step, precision=str(dtype), seconds_a_batch=seconds)
    saved_at = time.monotonic()
    inspected_at = saved_at - INSPECT_SECONDS if step else saved_at
    whole_time = max(1e-9, deadline - saved_at)
    with batch_workers(gradients, module, workers, device) as pool:
        log.begin(pool)
        while step < stage.steps and time.monotonic() < deadline:
            for group in optimiser.param_groups:
                time_left = max(0.0, deadline - time.monotonic()) / whole_time if fit else 1.0
                group["lr"] = stage.rate_at(step, time_left, start)
            found = pool.batches(step)
            _set_mean_gradients(parameters, [grads for _, grads in found])
            loss = float(torch.stack([value for value, _ in found]).mean())
            if loss != loss:
                raise PnPVideoError(f"the loss of {stage.name} is not a number at step {step}; {path} is from before")
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            step += 1
            _average(averaged, module, step)
            log.add(loss, step)
            if stage.inspect and time.monotonic() - inspected_at > INSPECT_SECONDS:
                inspect(stage.inspect)
                inspected_at = time.monotonic()
            if time.monotonic() - saved_at > SAVE_SECONDS:
                save()
                saved_at = time.monotonic()
    done = fit or step >= stage.steps
    save(done)
    if stage.inspect and done:
        inspect(stage.inspect)
    return done


def has_weights(folder: Path, name: str) -> bool:
    """Whether ``folder`` has weights of the stage, finished or not."""
    return (folder / f"{name}.pt").exists() or kept_path(folder, name).exists()


def averaged_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """The moving average of a stage's weights, float32, from its checkpoint or its reduced one."""
    path = folder / f"{name}.pt"
    if not path.exists():
        return _kept_weights(folder, name)[0]
    saved: dict[str, dict[str, Tensor]] = torch.load(path, map_location="cpu", weights_only=True)
    return saved["averaged"]


def kept_path(folder: Path, name: str) -> Path:
    """Path of the reduced checkpoint of a stage."""
    return folder / f"{name}.safetensors"


def keep_weights(folder: Path, name: str, target: Path) -> Path:
    """Write TARGET/NAME.safetensors, the reduced checkpoint of a stage: its moving average in fp16; return its path.

    A stage that is not done goes on from it with a new optimiser, so not as an uninterrupted run would. Its weights are
    rounded to KEPT_DIGITS, with which git compresses them to half the size.
    """
    saved = torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)
    facts = {key: saved[key] for key in ("step", "done", "processor_seconds")}
    path = kept_path(target, name)
    target.mkdir(parents=True, exist_ok=True)
    weights = {key: value.half().contiguous() for key, value in saved["averaged"].items()}
    if not saved["done"]:
        weights = round_weights(weights, KEPT_DIGITS)
    save_file(weights, path.with_suffix(".part"), {key: json.dumps(value) for key, value in facts.items()})
    os.replace(path.with_suffix(".part"), path)
    return path


def round_weights(weights: dict[str, Tensor], digits: int) -> dict[str, Tensor]:
    """``weights`` rounded to so many binary digits, the leading one included, with which git compresses them better.

    Biases and norms, which have one dimension, keep all theirs: they hardly take room, and rounded they shift whole
    predictions.
    """
    return {key: _rounded(value, digits) if value.ndim > 1 else value for key, value in weights.items()}


def _rounded(x: Tensor, digits: int) -> Tensor:
    mantissa, exponent = torch.frexp(x.float())
    return torch.ldexp((mantissa * 2**digits).round() / 2**digits, exponent).to(x.dtype)


def _kept_weights(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of a reduced checkpoint, float32, and its facts: step, done, processor_seconds."""
    path = kept_path(folder, name)
    with safe_open(path, "pt") as file:
        facts = {key: json.loads(value) for key, value in file.metadata().items()}
    return {key: value.float() for key, value in load_file(path).items()}, facts


def autocast(device: str, dtype: torch.dtype | None) -> torch.autocast:
    """A context in which networks compute in ``dtype``; float32 or None: without autocast."""
    enabled = dtype not in (None, torch.float32)
    return torch.autocast(torch.device(device).type, dtype if enabled else torch.bfloat16, enabled=enabled)


def fastest_dtype(device: str, seconds: Callable[[torch.dtype], float]) -> tuple[torch.dtype, dict[str, float]]:
    """The faster of float32 and bfloat16 by ``seconds``, and the seconds of both; bfloat16, untimed, on a GPU."""
    if torch.device(device).type != "cpu":
        return torch.bfloat16, {}
    measured = {dtype: seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return min(measured, key=measured.__getitem__), {str(dtype): round(value, 4) for dtype, value in measured.items()}


def _set_mean_gradients(parameters: list[nn.Parameter], found: list[tuple[Tensor | None, ...]]) -> None:
    """Give every parameter the mean of its gradients, one from each worker."""
    first, *others = ([gradient for gradient in each if gradient is not None] for each in found)
    for other in others:  # not in place: parameters may share a gradient
        first = list(torch._foreach_add(first, other))
    if others:
        torch._foreach_div_(first, len(found))
    means = iter(first)
    for parameter, gradient in zip(parameters, found[0], strict=True):
        parameter.grad = None if gradient is None else next(means)


def _average(averaged: dict[str, Tensor], module: nn.Module, step: int) -> None:
    """Update the moving average in place with the weights after ``step`` steps."""
    share = 1 - (1 - 1 / step) ** (AVERAGE_POWER + 1)
    with torch.no_grad():
        state = module.state_dict()
        torch._foreach_lerp_(list(averaged.values()), [state[name].float() for name in averaged], share)


def _batch_seconds(stage: Stage, parameters: list[nn.Parameter], step: int, device: str, dtype: torch.dtype) -> float:
    """Processor seconds of the gradients of one batch, after a warm-up."""
    for _ in range(2):
        start = time.process_time()
        with autocast(device, dtype):
            loss = stage.loss(step, torch.Generator().manual_seed(step))
        torch.autograd.grad(loss, parameters, allow_unused=True)
    return time.process_time() - start


class _Log:
    """A log in JSON lines: mean loss, samples so far, and samples per hour of wall-clock and of processor time."""

    def __init__(self, path: Path, batch: int) -> None:
        self.path, self.batch = path, batch
        self.losses: list[float] = []

    def begin(self, workers: BatchWorkers) -> None:
        """Start the clocks."""
        self.workers, self.began = workers, time.process_time()
        self.clock, self.processor = time.monotonic(), 0.0

    def spent(self) -> float:
        """Processor seconds of this process and its workers since ``begin``."""
        return time.process_time() - self.began + self.workers.processor_seconds

    def add(self, loss: float, step: int) -> None:
        self.losses.append(loss)
        if step % LOG_STEPS:
            return
        clock, processor = time.monotonic(), self.spent()
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
