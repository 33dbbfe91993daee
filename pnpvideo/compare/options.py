"""The options of a comparison."""

from dataclasses import dataclass

from pnpvideo.kinds import Frames, Model, Switch, Text, Whole
from pnpvideo.option import Spec, check_options, option
from pnpvideo.video.span import Span

PAGE_WIDTH = 960
"""Pixels of the widest picture in a page, by default."""


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """How a comparison is made. Raises OptionError for a value that is not accepted."""

    frames: Span | None = option(
        None,
        Spec(
            kind=Frames(),
            section="usual",
            variable=False,
            help="Frames of SOURCE, such as 0:25, or 2.5s:4s; of a RESULT that is longer, the same. Without it: "
            "those that the results were made from by their reports, else all.",
        ),
    )
    prompt: str | None = option(
        None,
        Spec(
            kind=Text(),
            section="usual",
            variable=False,
            help="What the results should show: adds a curve of how well each frame agrees with it. Pages only.",
        ),
    )
    judge: str = option(
        "miniature",
        Spec(
            kind=Model(),
            section="usual",
            variable=False,
            help="Who judges agreement with --prompt: miniature, or a folder or hub id of a CLIP model.",
        ),
    )
    width: int | None = option(
        None,
        Spec(
            kind=Whole(16, 16384),
            section="usual",
            variable=False,
            help=f"Scale wider pictures down to N pixels. Without it: {PAGE_WIDTH} in a page; as they are in a clip.",
        ),
    )
    overwrite: bool = option(
        False,
        Spec(kind=Switch(), section="output", flag=("-y", "--overwrite"), help="Replace the output if it exists."),
    )

    def __post_init__(self) -> None:
        check_options(self)
