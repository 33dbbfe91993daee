"""Read edit masks from a still or a clip: white where the result may change, black where the source stays."""

from pathlib import Path

from pnpvideo.events import Report, ignore
from pnpvideo.video.clip import Clip
from pnpvideo.video.companion import Companion
from pnpvideo.video.pixels import to_grey
from pnpvideo.video.span import Span


class Masks(Companion):
    """The masks of a clip's frames, in order, each (h, w) uint8 at the mask's own size; see Companion."""

    def __init__(self, path: Path, clip: Clip, span: Span | None, report: Report = ignore) -> None:
        super().__init__(path, clip, span, "mask", to_grey, report)
