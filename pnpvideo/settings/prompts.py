"""The options for prompts, captions and edit directions."""

from __future__ import annotations

from dataclasses import dataclass

from pnpvideo.kinds import Choice, Concepts, Model, Real, Text, WeightedFiles
from pnpvideo.option import Spec, check_options, option
from pnpvideo.settings.models import ALIASES

WORD, START = "word", "start"


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The source and negative prompts, and edit directions in the space of text embeddings."""

    source_prompt: str | None = option(
        None,
        Spec(
            kind=Text(),
            section="usual",
            help="What the input shows; without it, a caption of each shot's middle frame.",
        ),
    )
    negative: str | None = option(
        None,
        Spec(
            kind=Text(),
            section="usual",
            card=True,
            help="What the result must not show; {source}: the source prompt.",
        ),
    )
    captioner: str | None = option(
        None,
        Spec(
            kind=Model(tuple(ALIASES)),
            section="look",
            help="Folder or hub id of a BLIP captioner; without it, the model's own, else the base one.",
        ),
    )
    change: tuple[str, str] | None = option(
        None, Spec(kind=Concepts(), section="look", flag=None, variable=False, help="What becomes what, two concepts.")
    )
    change_strength: float = option(
        1.0,
        Spec(
            kind=Real(-1000.0, 1000.0),
            section="look",
            help="Strength of the change from --from to --to; above 1 goes beyond it.",
        ),
    )
    directions: tuple[tuple[str, float], ...] = option(
        (),
        Spec(
            kind=WeightedFiles(),
            section="look",
            flag=("--direction",),
            variable=False,
            help="Edit direction to add to the prompt's embedding; may be given again.",
        ),
    )
    placement: str = option(
        WORD,
        Spec(
            kind=Choice((WORD, START)),
            section="look",
            help="Where directions enter the text: at the word that they change, or token by token from its start.",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
