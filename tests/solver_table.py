"""How far inversion and sampling back miss, by solver, at equal network calls: ``python -m tests.solver_table``."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import SOLVERS, KnownSecondOrder, State, second_order_term
from tests.joint import write_joint

CALLS = (24, 48, 96)
"""Of inversion and sampling back together: rf has two thirds as many steps as the others."""
FINE = 1000
"""Steps of the inversion that counts as exact."""


@dataclass(frozen=True)
class Flow:
    """A network that predicts velocity. ``velocity(x, timestep)``; ``schedule(steps)``; clean: latents (f, c, h, w)."""

    velocity: Callable[[Tensor, float], Tensor]
    schedule: Callable[[int], Schedule]
    clean: Tensor

    def inverted(self, name: str, steps: int) -> list[Tensor]:
        """The latents of every level by this solver."""
        schedule = self.schedule(steps)
        states = invert(
            lambda x, level: self.velocity(x, schedule.timestep(level)), State(self.clean, 0), schedule, SOLVERS[name]
        )
        return [self.clean, *(state.x for state in states)]

    def returned(self, name: str, path: list[Tensor]) -> Tensor:
        """The clean latents that sampling from the end of ``path`` comes back to, with the solver that a run takes."""
        schedule = self.schedule(len(path) - 1)
        known = KnownSecondOrder(lambda level: second_order_term(path.__getitem__, schedule, level))
        *_, back = sample(
            lambda x, level: (x, self.velocity(x, schedule.timestep(level))),
            State(path[-1], schedule.steps),
            schedule,
            known if SOLVERS[name].looks_back else SOLVERS[name],
        )
        return back.x


def joint(backend: StableDiffusion3) -> Flow:
    """A tiny Stable Diffusion 3 of random weights."""
    text = backend.embed("a hen").batch()
    clean = torch.randn((1, 16, 4, 4), generator=torch.Generator().manual_seed(0))
    return Flow(lambda x, timestep: backend.predict(x, timestep, text), backend.schedule, clean)


def gaussian() -> Flow:
    """A perfect network for pictures whose values are normally distributed."""
    backend = FakeBackend({"dusk": (-0.3, -0.2, 0.1)}, deviation=0.5)
    text = backend.embed("dusk").batch()
    drawn = torch.randn((1, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    return Flow(
        lambda x, timestep: backend.predict(x, timestep, text),
        lambda steps: Schedule.flow_matching(steps, shift=3.0),
        text.tokens[:, 0].reshape(1, 3, 1, 1) + 0.5 * drawn,
    )


def off(one: Tensor, other: Tensor) -> float:
    """Root mean square."""
    return float((one - other).square().mean().sqrt())


def rows(name: str, flow: Flow) -> list[str]:
    """Of a Markdown table."""
    exact, lines = flow.inverted("rf", FINE)[-1], list[str]()
    for calls in CALLS:
        cells = []
        for solver in SOLVERS:
            path = flow.inverted(solver, calls // (3 if SOLVERS[solver].halfway else 2))
            cells.append(f"{off(path[-1], exact):.3f}, {off(flow.returned(solver, path), flow.clean):.3f}")
        lines.append(f"| {name} | {calls} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        backend = StableDiffusion3(str(write_joint(Path(folder))), torch.device("cpu"), torch.float32)
        print(f"| network | calls | {' | '.join(f'`{name}`' for name in SOLVERS)} |")
        print("|---|---|" + "---|" * len(SOLVERS))
        print("\n".join([*rows("Gaussian flow", gaussian()), *rows("tiny Stable Diffusion 3", joint(backend))]))
