"""Share the first steps of runs that begin alike, such as runs that differ in how long they inject attention."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from pnpvideo.diffusion.solvers import State
from pnpvideo.engine.run import Run


@dataclass(frozen=True)
class Beginning:
    """The states of ``run`` after each of its first steps, by what they depend on.

    key: number of steps -> a key of everything that the state after them depends on. Only of use where several runs
    share ``Run.beginnings``; a state is a few latents, which stay in memory, on the CPU.
    """

    run: Run
    key: Callable[[int], str]

    def further(self, start: State) -> State:
        """The state of another run that is furthest on and begins as this one does; ``start`` if there is none."""
        known = self.run.beginnings
        if known is None:
            return start
        for level in range(1, start.level):
            if (found := known.get(self.key(self.run.schedule.steps - level))) is not None:
                return self._moved(found, self.run.device)
        return start

    def keep(self, state: State) -> None:
        """Keep a state that the run has reached; the last one is the run's own."""
        if self.run.beginnings is not None and state.level > 0:
            self.run.beginnings[self.key(self.run.schedule.steps - state.level)] = self._moved(state, "cpu")

    @staticmethod
    def _moved(state: State, device: torch.device | str) -> State:
        x0 = state.previous_x0
        return State(state.x.to(device), state.level, None if x0 is None else x0.to(device))
