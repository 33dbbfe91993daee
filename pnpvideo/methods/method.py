"""Method, the base class: the options, starting latents and edits of one way to translate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pnpvideo.kinds import Real
from pnpvideo.option import Spec, check_options

if TYPE_CHECKING:  # options are read before torch is loaded
    from torch import Tensor

    from pnpvideo.diffusion.schedule import Schedule
    from pnpvideo.diffusion.trajectory import Trajectory
    from pnpvideo.injection import Conditioning, Edit, Lanes, Moment, Site

    Pass = Callable[[Lanes, Mapping[str, Tensor], Mapping[str, Conditioning]], None]
    """Make one network call, up to the last site that its edits need. Arguments: the lanes, the latents
    (frames, c, h', w') of each, and the prompt conditioning of each."""


STRENGTH = Spec(
    kind=Real(0.0, 1.0, above=True),
    section="look",
    search=(0.2, 1.0),
    help="sdedit, flowedit: share of the steps that are run; 1: from pure noise.",
)


class Probe(Protocol):
    """The network calls available to ``Method.correct``; the run's own edits are not installed in them.

    lanes: the edited lanes that guidance evaluates at this step. words: lane -> conditioning of its prompt. sites: all
    of the network's.
    """

    @property
    def lanes(self) -> tuple[str, ...]: ...

    @property
    def words(self) -> Mapping[str, Conditioning]: ...

    @property
    def sites(self) -> Sequence[Site]: ...

    def source(self, frame: int) -> Tensor:
        """The source's latents of one frame at this level, (1, c, h', w'), on the device of the edited ones."""
        ...

    def watched(self, edits: Sequence[Edit], checkpointing: bool = False) -> AbstractContextManager[Pass]:
        """Install these edits alone, and yield the function that makes network calls; ``begin`` runs before each.

        checkpointing: use gradient checkpointing. A gradient must be taken inside the block.
        """
        ...


@dataclass(frozen=True)
class Corrected:
    """Latents (f, c, h', w') before a step. lanes: where each lane is evaluated. origin: where the step starts."""

    lanes: Mapping[str, Tensor]
    origin: Tensor

    @classmethod
    def unchanged(cls, x: Tensor, lanes: Sequence[str]) -> Corrected:
        """Evaluate every lane at ``x``, and start the step there."""
        return cls(dict.fromkeys(lanes, x), x)


@dataclass(frozen=True, kw_only=True)
class Method:
    """Base of all methods: plain sampling from the source's noisiest latents, with no edits.

    A method is a frozen dataclass whose fields are its options. A field of None stands for the checkpoint's
    recommendation, else ``otherwise``; the engine gets a copy with all options resolved (see settings.effective).
    Temporal coherence is chosen separately (see coherence).
    """

    inverts: ClassVar[bool] = True
    """Whether the method needs the source's inverted trajectory."""
    card_names: ClassVar[Mapping[str, str]] = {}
    """Option of another group -> the name under which a card recommends its value for this method in particular."""
    negative_otherwise: ClassVar[str] = ""
    """Negative prompt where neither the user nor the checkpoint names one; "{source}" is the source prompt."""
    negative_generated: ClassVar[str] = "{source}"
    """Negative prompt with ``generate``, where the user names none; cards have no recommendation for it."""
    first_order: ClassVar[bool] = False
    """Whether the method works with first-order steps only (the solver "ddim")."""
    needs_cross_attention: ClassVar[bool] = False
    """Whether the method steers cross-attention, which networks of picture and text together do not have."""
    needs_caption: ClassVar[bool] = False
    """Whether the method needs a source prompt even if the target prompt is given."""

    def __post_init__(self) -> None:
        check_options(self)

    def otherwise(self, prediction: str, generate: bool) -> Mapping[str, Any]:
        """The method's own defaults, for its options and those of other groups: option -> value.

        They count where neither the user nor the checkpoint sets one. prediction: what the network predicts, "epsilon",
        "sample", "v_prediction" or "flow". generate: the guidance picture is generated.
        """
        return {}

    def empty_share(self, generate: bool) -> float:
        """Weight (0 to 1) of the empty prompt against the negative prompt in guidance, at the first step."""
        return 0.75 if generate else 1.0

    def without_effect(self) -> Mapping[str, str]:
        """Options, all resolved, that change nothing with this method -> the reason."""
        return {}

    def before(self, step: int, steps: int) -> object:
        """What the options decide in the steps before ``step`` (from 0) of ``steps``: values that the store can hash.

        Runs in which this and everything else is equal have the same latents up to there. The method itself, which is
        always right, where it has nothing more exact to say.
        """
        return self

    def levels(self, schedule: Schedule) -> Schedule:
        """The part of ``schedule``, from the clean level up, that a run inverts and samples: usually all of it.

        Not asked where the guidance picture is generated, which begins at the noisiest level.
        """
        return schedule

    @property
    def source_lanes(self) -> tuple[str, ...]:
        """Lanes, "source" or "empty", in which the network is evaluated at the source's own latents at every step, for
        ``combine_source`` and ``after_step``; usually none."""
        return ()

    def trajectory(self, x0: Tensor, noise: Callable[[int], Tensor], schedule: Schedule) -> Trajectory:
        """The source's latents at every level, for a method that does not invert.

        x0: clean latents (f, c, h', w'). ``noise(stream)``: noise (1, c, h', w') of the shot, independent for each
        stream number; 1 is passed to ``start``.
        """
        from pnpvideo.diffusion.trajectory import ForwardProcess

        return ForwardProcess(x0, noise(0), schedule)

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        """The latents (f, c, h', w') that sampling starts from, and their level. noise: (1, c, h', w') fp32, fresh for
        each shot."""
        return trajectory.at(schedule.steps), schedule.steps

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        """The method's edits for a network with these sites, outermost first."""
        return []

    def corrects(self, moment: Moment) -> bool:
        """Whether ``correct`` makes network calls at this step."""
        return False

    def correct(self, x: Tensor, moment: Moment, probe: Probe) -> Corrected:
        """Move the latents ``x`` (f, c, h', w') before a step: where to evaluate each lane, and where to step from."""
        return Corrected.unchanged(x, probe.lanes)

    def combine_source(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Combine the outputs of ``source_lanes`` to one for the source, each (f, c, h', w')."""
        return outputs["source"]

    def after_step(self, x: Tensor, source: Tensor, stepped: Tensor) -> Tensor:
        """Change the latents ``x`` (f, c, h', w') that a step has reached; called only if there are ``source_lanes``.

        source: the trajectory's latents at the level reached. stepped: the latents that the same step reaches from the
        trajectory's level above, with the source's own output.
        """
        return x
