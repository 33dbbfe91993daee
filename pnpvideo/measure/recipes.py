"""What the benchmarks of recipes share: which recipes are accepted, and what comes out."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import OptionError
from pnpvideo.measure.figures import finite, table
from pnpvideo.options import TranslateOptions


def check(
    base: TranslateOptions, recipes: Mapping[str, Mapping[str, Any]], floors: Collection[str], ours: Collection[str]
) -> None:
    """Raises OptionError for a recipe that is called as one of the ``floors``, or sets an option of ``ours``, those
    that the benchmark itself sets; and where there is none."""
    if not recipes:
        raise OptionError("there is no recipe to measure; give a table of options for each")
    for name, changes in {"the options of all recipes": base.stated(), **recipes}.items():
        if name in floors:
            raise OptionError(f"a recipe is called {name!r}, as a floor is; not accepted: {', '.join(floors)}")
        for given in (option for option in ours if option in changes):
            raise OptionError(f"{name}: {given} is set, which the benchmark itself sets; leave it out")


def opened(base: TranslateOptions, size: int) -> StableDiffusion:
    """The model of ``base``. Raises OptionError where it takes no pictures of ``size`` pixels."""
    backend = StableDiffusion.of(base)
    if size % backend.multiple:
        raise OptionError(f"size is {size}; accepted are multiples of {backend.multiple}, which the model takes")
    return backend


@dataclass(frozen=True)
class Measured:
    """Task -> recipe -> measure -> mean; ``examples``: task -> recipe -> pictures to look at. protocol: how."""

    protocol: dict[str, Any]
    rows: dict[str, dict[str, dict[str, float]]]
    examples: dict[str, dict[str, list[np.ndarray]]]

    def markdown(self) -> str:
        return "\n\n".join(f"### {task}\n\n{table(rows)}" for task, rows in self.rows.items())

    def json(self) -> str:
        """One strict JSON object: the protocol, and every figure, null where it is no finite number."""
        found = finite({"protocol": self.protocol, "figures": self.rows})
        return json.dumps(found, indent=2, default=str, allow_nan=False)
