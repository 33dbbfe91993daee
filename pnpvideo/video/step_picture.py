"""Keep a file with the latest picture of an unfinished translation."""

from pathlib import Path

from PIL import Image

from pnpvideo.errors import OutputError, printable
from pnpvideo.events import Event, Notice, Report, StepPicture
from pnpvideo.publish import check_writable, published
from pnpvideo.video.destination import resolve_output
from pnpvideo.video.formats import PICTURES
from pnpvideo.video.pixels import resize


class StepPictureFile:
    """A reporter that writes each StepPicture to ``path``, whole or not at all, and passes all events on.

    display: (width, height) of the pictures. If one cannot be written, that is a notice, and no other is written.
    """

    def __init__(self, path: Path, display: tuple[int, int], report: Report) -> None:
        self._path, self._display, self._report = path, display, report
        self._works = True

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepPicture) and self._works:
            try:
                with published(self._path) as building:
                    Image.fromarray(resize(event.picture, self._display)).save(building)
            except OutputError as failed:
                self._works = False
                self._report(Notice(message=f"the translation goes on without pictures of it: {failed}"))
        self._report(event)


def step_picture_path(stated: Path | None, output: Path | str, source: Path | None) -> Path:
    """The file for the pictures: ``stated``, else OUTPUT-preview.png beside the output.

    Raises OutputError for a name that is no picture, a folder that does not exist or cannot be written to, and the
    input or output itself.
    """
    output, _ = resolve_output(output)
    path = stated or output.with_name(f"{output.stem}-preview.png")
    name = printable(str(path))
    if path.suffix.lower() not in PICTURES:
        raise OutputError(f"{name}: a preview is one picture; accepted: {', '.join(PICTURES)}")
    if not path.parent.is_dir():
        raise OutputError(f"{name}: the folder {printable(str(path.parent))} does not exist; make it first")
    for other, what in ((output, "output"), (source, "input")):
        if other is not None and (path.absolute() == other.absolute() or _same(path, other)):
            raise OutputError(f"{name} is the {what} itself; name another file for the preview")
    if path.exists() and not path.is_file():
        raise OutputError(f"{name} exists and is no regular file; name another file for the preview")
    check_writable(path)
    return path


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)
