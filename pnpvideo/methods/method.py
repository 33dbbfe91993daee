"""What a method is: the options, start and edits of one way to translate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pnpvideo.option import Real, Spec, check_options

if TYPE_CHECKING:  # options are read before torch is loaded
    from torch import Tensor

    from pnpvideo.diffusion.schedule import Schedule
    from pnpvideo.diffusion.trajectory import Trajectory
    from pnpvideo.injection import Conditioning, Edit, Lanes, Moment, Site

    Pass = Callable[[Lanes, Mapping[str, Tensor], Mapping[str, Conditioning]], None]
    """One network call, up to the last site that its edits need: lanes, latents of each lane (frames, c, h, w), prompt
    conditioning of each lane."""


STRENGTH = Spec(
    kind=Real(0.0, 1.0, above=True),
    section="look",
    help="sdedit, flowedit: share of the steps that are run; 1: from pure noise.",
)


class Probe(Protocol):
    """Network calls that a correction may make, apart from the run's own edits.

    lanes: those that guidance evaluates at this step. words: lane -> conditioning. sites: the
    network's.
    """

    @property
    def lanes(self) -> tuple[str, ...]: ...

    @property
    def words(self) -> Mapping[str, Conditioning]: ...

    @property
    def sites(self) -> Sequence[Site]: ...

    def source(self, frame: int) -> Tensor:
        """The source's latents of this level, (1, c, h, w), on the device of the edited ones."""
        ...

    def watched(self, edits: Sequence[Edit], checkpointing: bool = False) -> AbstractContextManager[Pass]:
        """Network calls with these edits alone; each begins them anew. A gradient must be taken inside the block."""
        ...


@dataclass(frozen=True)
class Corrected:
    """lanes: the latents (f, c, h, w) at which each lane is evaluated. origin: those that the step starts from."""

    lanes: Mapping[str, Tensor]
    origin: Tensor

    @classmethod
    def unchanged(cls, x: Tensor, lanes: Sequence[str]) -> Corrected:
        return cls(dict.fromkeys(lanes, x), x)


@dataclass(frozen=True, kw_only=True)
class Method:
    """Base of all methods: plain sampling from the source's noisiest latents, with no edits.

    A method is a frozen dataclass whose fields are its options. None stands for the checkpoint's recommendation, else
    for the field's ``otherwise``; the engine is given a copy in which every option has its value (see
    settings.effective). Temporal coherence is an axis of its own and no part of a method.
    """

    inverts: ClassVar[bool] = True
    """Whether the method needs the source's inverted trajectory."""
    card_names: ClassVar[Mapping[str, str]] = {}
    """Options of other groups for which a checkpoint has a recommendation of its own for this method -> its name."""
    negative_otherwise: ClassVar[str] = ""
    """Negative prompt where neither the user nor the checkpoint names one; "{source}" is the source prompt."""
    negative_generated: ClassVar[str] = "{source}"
    """The same beside a generated guidance picture, for which a checkpoint recommends none."""
    first_order: ClassVar[bool] = False
    """Whether the method is defined for steps of first order only (the solver "ddim")."""
    needs_caption: ClassVar[bool] = False
    """Whether the method has to know what the source shows, even where a prompt says what it becomes."""

    def __post_init__(self) -> None:
        check_options(self)

    def otherwise(self, prediction: str, generate: bool) -> Mapping[str, Any]:
        """Values of options, this method's or of other groups, that suit it where nobody recommends one.

        prediction: what the network predicts. generate: the guidance picture is generated.
        """
        return {}

    def empty_share(self, generate: bool) -> float:
        """Share of the empty caption in the negative side of guidance at the first step, beside a negative prompt."""
        return 0.75 if generate else 1.0

    def without_effect(self) -> Mapping[str, str]:
        """Options of this run, with every value known, that change nothing -> why."""
        return {}

    @property
    def source_lanes(self) -> tuple[str, ...]:
        """Prompts of the source whose outputs ``combine_source`` and ``after_step`` need: none, "source", "empty"."""
        return ()

    def trajectory(self, x0: Tensor, noise: Callable[[int], Tensor], schedule: Schedule) -> Trajectory:
        """The source's latents at every level, for a method that does not invert.

        x0: clean latents (f, c, h, w). ``noise(stream)``: noise (1, c, h, w) of the shot, another for each stream.
        """
        from pnpvideo.diffusion.trajectory import ForwardProcess

        return ForwardProcess(x0, noise(0), schedule)

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        """The latents that sampling starts from, and their level; ``noise`` (1, c, h, w) is the shot's own, fp32."""
        return trajectory.at(schedule.steps), schedule.steps

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        """The method's edits for a network with these sites, outermost first."""
        return []

    def corrects(self, moment: Moment) -> bool:
        """Whether a correction makes network calls at this step."""
        return False

    def correct(self, x: Tensor, moment: Moment, probe: Probe) -> Corrected:
        """Change the latents before a step."""
        return Corrected.unchanged(x, probe.lanes)

    def combine_source(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """The network's output for the source (f, c, h, w) from that of each of ``source_lanes``."""
        return outputs["source"]

    def after_step(self, x: Tensor, source: Tensor, stepped: Tensor) -> Tensor:
        """Change the latents ``x`` (f, c, h, w) that a step has reached; called if there are ``source_lanes``.

        source: the trajectory's latents of the level reached. stepped: those that the same step from the trajectory's
        level above reaches with the source's own output.
        """
        return x
