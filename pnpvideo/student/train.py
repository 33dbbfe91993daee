"""Train a student: a generator over steps, which yields after each one and can go on from a saved state."""

import json
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from pnpvideo.errors import InputError, NotFiniteError
from pnpvideo.store import fingerprint
from pnpvideo.store.durable import replace_file
from pnpvideo.student.discriminator import Discriminator, discriminator_loss, generator_loss, gradient_penalty
from pnpvideo.student.examples import Batch, Drawing, Examples, imagined_motions
from pnpvideo.student.losses import EncoderTower, Tower, Weights, perceptual_loss, temporal_loss
from pnpvideo.student.network import SHAPES, Generator, Shape, channels_last, fastest_dtype

STATE_FORMAT = "pnpvideo student training 1"
WARM_UP = 100
"""Steps in which the learning rate rises."""
BETAS = (0.5, 0.99)
LARGEST_GRADIENT = 1.0
"""Norm to which the generator's gradient is cut; without it, some runs at this rate diverged after 700 steps."""
PENALTY_EVERY = 16
"""Steps between two gradient penalties, each weighted as many times (lazy regularisation, arXiv 1912.04958)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a student is trained.

    steps: at most. rate: of Adam. average: decay of the generator's moving average, which is the student.
    adversarial_after: steps before the discriminator joins in: it first meets a student whose colours are right.
    steady: patches of neighbouring frames a step.
    """

    shape: Shape = SHAPES["small"]
    drawing: Drawing = field(default_factory=Drawing)
    weights: Weights = field(default_factory=Weights)
    steps: int = 4000
    rate: float = 1e-3
    average: float = 0.998
    adversarial_after: int = 1000
    steady: int = 2
    seed: int = 0

    def plain(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "shape": self.shape.plain()}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The terms of the loss at one step, before their weights; a term that was left out is 0."""

    step: int
    absolute: float = 0.0
    perceptual: float = 0.0
    adversarial: float = 0.0
    temporal: float = 0.0
    discriminator: float = 0.0


class Training:
    """A student under training: generator, its moving average, discriminator and both optimisers after ``step`` steps.

    lesson: fingerprint of what it learns from, see ``lesson_of``; a saved state is of one lesson. seconds: that all
    steps took, in this and in earlier sessions. Weights, losses and the gradient penalty are float32;
    where bfloat16 is faster, the networks multiply in it. Raises nothing by itself; ``steps`` raises NotFiniteError if
    a loss is NaN or infinite.
    """

    def __init__(self, recipe: Recipe, device: torch.device | str = "cpu", lesson: str = "") -> None:
        self.recipe, self.device, self.lesson = recipe, torch.device(device), lesson
        self.step, self.seconds = 0, 0.0
        self._dtype = fastest_dtype(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            generator, discriminator = Generator(recipe.shape), Discriminator()
        self.generator = channels_last(generator).to(self.device)
        self.discriminator = channels_last(discriminator).to(self.device)
        self.average = deepcopy(self.generator).requires_grad_(False).eval()
        self._adam = torch.optim.Adam(self.generator.parameters(), recipe.rate, betas=BETAS, fused=True)
        self._adam_of_discriminator = torch.optim.Adam(
            self.discriminator.parameters(), recipe.rate, betas=BETAS, fused=True
        )

    def steps(self, examples: Examples, tower: Tower | None = None) -> Iterator[Figures]:
        """Train up to the recipe's last step, and yield the figures of each.

        tower: features for the perceptual loss; None: that term is left out. Each step depends on the state, the seed
        and its number alone, so a run that goes on from a saved state gives the same student bit for bit.
        """
        while self.step < self.recipe.steps:
            started = time.monotonic()
            figures = self._take(examples, tower)
            self.step, self.seconds = self.step + 1, self.seconds + time.monotonic() - started
            yield figures

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, by name."""
        found = {f"generator.{name}": value for name, value in self.generator.state_dict().items()}
        found |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        found |= {f"discriminator.{name}": value for name, value in self.discriminator.state_dict().items()}
        for name, adam in self._optimisers().items():
            for index, moments in adam.state_dict()["state"].items():
                found |= {f"{name}.{index}.{key}": torch.as_tensor(value) for key, value in moments.items()}
        return {name: value.detach().cpu().contiguous() for name, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take the state of ``tensors`` after ``step`` steps. Raises KeyError or RuntimeError if they do not fit."""
        for name, network in (
            ("generator", self.generator),
            ("average", self.average),
            ("discriminator", self.discriminator),
        ):
            network.load_state_dict(_under(tensors, name))
        for name, adam in self._optimisers().items():
            parameters = [value for group in adam.param_groups for value in group["params"]]
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(tensors, name).items():
                index, _, part = key.partition(".")
                like = parameters[int(index)]  # in whose layout the fused kernel wants the moments
                laid = torch.empty_like(like).copy_(value) if value.shape == like.shape else value.clone()
                moments.setdefault(int(index), {})[part] = laid
            adam.load_state_dict({**adam.state_dict(), "state": moments})
        self.step = step

    def _optimisers(self) -> dict[str, torch.optim.Adam]:
        return {"adam": self._adam, "adam of the discriminator": self._adam_of_discriminator}

    def _take(self, examples: Examples, tower: Tower | None) -> Figures:
        recipe, weights = self.recipe, self.recipe.weights
        for adam in self._optimisers().values():
            for group in adam.param_groups:
                group["lr"] = recipe.rate * min(1.0, (self.step + 1) / WARM_UP)
        batch = recipe.drawing.examples(examples, recipe.seed, self.step)
        source, target = self._put(batch.source), self._put(batch.target)
        terms: dict[str, Tensor] = {}
        if weights.temporal:
            motions = examples.motions
            if motions is None:
                motions = imagined_motions(examples.source, recipe.steady, recipe.seed, self.step)
            steady = recipe.drawing.neighbours(motions, recipe.steady, recipe.seed, self.step)
            made, earlier, later = self._made(batch, steady.earlier, steady.later)
            terms["temporal"] = temporal_loss(earlier, later, self._put(steady.flow), self._put(steady.visible))
        else:
            (made,) = self._made(batch)
        terms["absolute"] = F.l1_loss(made, target)
        if tower is not None and weights.perceptual:
            with self._quick():
                terms["perceptual"] = perceptual_loss(tower, made, target)
        judged = bool(weights.adversarial) and self.step >= recipe.adversarial_after
        if judged:
            self.discriminator.requires_grad_(False)
            terms["adversarial"] = generator_loss(self._judged(source, made))
            self.discriminator.requires_grad_(True)
        loss = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
        if not bool(torch.isfinite(loss)):
            raise NotFiniteError(f"the student's loss is {loss.item()} at step {self.step}; try a lower learning rate")
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), LARGEST_GRADIENT)
        self._adam.step()
        figures = {name: term.item() for name, term in terms.items()}
        if judged:
            figures["discriminator"] = self._train_discriminator(source, target, made.detach())
        with torch.no_grad():
            share = 1 - min(recipe.average, (self.step + 1) / (self.step + 10))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), share)
        return Figures(step=self.step + 1, **figures)

    def _train_discriminator(self, source: Tensor, real: Tensor, made: Tensor) -> float:
        loss = discriminator_loss(self._judged(source, real), self._judged(source, made))
        total = loss
        if self.step % PENALTY_EVERY == 0:
            penalty = gradient_penalty(self.discriminator, source, real)
            total = loss + PENALTY_EVERY * self.recipe.weights.penalty * penalty
        self._adam_of_discriminator.zero_grad(set_to_none=True)
        total.backward()
        self._adam_of_discriminator.step()
        return loss.item()

    def _made(self, *batches: Batch) -> tuple[Tensor, ...]:
        """The generator's pictures for each batch, from one pass over all of them."""
        source, context, place = (
            self._put(torch.cat([getattr(batch, name) for batch in batches])) for name in ("source", "context", "place")
        )
        with self._quick():
            made: Tensor = self.generator(source, context, place)
        parts: tuple[Tensor, ...] = torch.split(made.float(), [len(batch.source) for batch in batches])
        return parts

    def _judged(self, source: Tensor, result: Tensor) -> Tensor:
        with self._quick():
            scores: Tensor = self.discriminator(source, result)
        return scores.float()

    def _quick(self) -> torch.autocast:
        return torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32)

    def _put(self, value: Tensor | None) -> Tensor:
        assert value is not None
        return value.to(self.device)


def lesson_of(examples: Examples, tower: EncoderTower | None) -> str:
    """Fingerprint of everything that a student learns from besides its recipe: the examples and the tower's weights."""
    pictures = (torch.from_numpy(examples.source), torch.from_numpy(examples.target))
    return fingerprint(pictures, examples.motions, None if tower is None else tower.fingerprint)


def save_training(training: Training, path: Path) -> None:
    """Write the state to ``path`` as safetensors; the file is replaced whole. Raises OSError."""
    about = {"format": STATE_FORMAT, "step": str(training.step), "seconds": str(training.seconds)}
    about |= {"recipe": json.dumps(training.recipe.plain()), "lesson": training.lesson}
    replace_file(path, to_bytes(training.tensors(), metadata=about))


def load_training(path: Path, recipe: Recipe, device: torch.device | str = "cpu", lesson: str = "") -> Training:
    """The training saved at ``path``; a new one if there is no file, or one of another lesson or recipe.

    A recipe may differ in its number of steps. Raises InputError if the file is damaged.
    """
    training = Training(recipe, device, lesson)
    if not path.exists():
        return training
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != STATE_FORMAT:
                raise InputError(f"{path} is no saved training of a student; move it away, or name another folder")
            same_recipe = _but_steps(json.loads(about["recipe"])) == _but_steps(json.loads(json.dumps(recipe.plain())))
            if not same_recipe or about.get("lesson") != lesson:
                return training
            training.restore({name: file.get_tensor(name) for name in file.keys()}, int(about["step"]))  # noqa: SIM118
            training.seconds = float(about["seconds"])
    except (SafetensorError, OSError, LookupError, ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it, and training begins anew") from error
    return training


def _under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(name + ".")}


def _but_steps(recipe: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key != "steps"}
