"""pnpvideo apply: translate with a student, at the speed of video."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from pnpvideo.backends.device import check_device_name
from pnpvideo.early import check_input
from pnpvideo.errors import InputError, OutputError, printable
from pnpvideo.events import Notice, Progress

from ..render import progress_option, rendering
from ..verbosity import Verbosity, hush_libraries, verbosity_options


@click.command(short_help="Translate with a student, at the speed of video.")
@click.argument("student", metavar="STUDENT", type=click.Path(path_type=Path))
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path, allow_dash=True))
@click.option("-o", "--output", type=click.Path(readable=False, allow_dash=True), required=True, help="What to write.")
@click.option("--size", type=click.IntRange(32), help="Short side in pixels.  [default: the student's own]")
@click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True)
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--raw", metavar="WxH", help="INPUT and output are raw frames (RGB, 8 bits) of this size; - is a pipe.")
@click.option("-y", "--overwrite", is_flag=True, help="Replace the output if it exists.")
@progress_option
@verbosity_options
@click.pass_context
def apply(
    context: click.Context,
    student: Path,
    source: Path,
    output: str,
    raw: str | None,
    overwrite: bool,
    **_stated: Any,
) -> None:
    """Translate INPUT, a clip, a still or a folder of frames, with STUDENT, a folder that distill made.

    Frames, times and sound stay. A camera comes in as raw frames from ffmpeg.

    \b
    pnpvideo apply cartoon2photo clip.mp4 -o out.mp4
    ffmpeg -f v4l2 -i /dev/video0 -s 256x256 -pix_fmt rgb24 -f rawvideo - | \\
        pnpvideo apply cartoon2photo - -o - --raw 256x256 | ffplay -f rawvideo -pixel_format rgb24 -video_size 256x256 -
    """
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    if raw is None and "-" in (str(source), output):
        raise click.UsageError("a pipe (-) carries raw frames: give their size with --raw WxH")
    from pnpvideo.video.destination import check_file, check_place

    asked = context.params
    check_device_name(asked["device"])
    if raw is None:
        check_input(source)
        check_place(output, source, overwrite)
    else:
        size = _raw_size(raw)
        if output != "-":
            check_file(Path(output), overwrite)
    with rendering(asked["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        from pnpvideo.student.apply import Applier, apply_raw
        from pnpvideo.student.apply import apply as applied
        from pnpvideo.student.student_file import load_student

        model = load_student(student)
        applier = Applier(model, device=asked["device"], precision=asked["precision"], size=asked["size"])
        if raw is None:
            path = applied(applier, source, output, overwrite=overwrite, report=report)
            report(Notice(message=f"wrote {path}"))
            return
        with _Source(source) as frames, _raw_sink(output, overwrite) as sink:
            count = apply_raw(applier, frames, sink, size)
        report(Notice(message=f"{count} frames"))


def _raw_size(text: str) -> tuple[int, int]:
    """(width, height) of "256x256"."""
    from pnpvideo.video.clip import MAX_PIXELS

    found = re.fullmatch(r"([0-9]{1,8})x([0-9]{1,8})", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < width * height <= MAX_PIXELS:
        raise click.BadParameter(f"{text!r} is not the size of a frame; accepted is WIDTHxHEIGHT, such as 256x256")
    return width, height


class _Source(io.BufferedReader):
    """Frames from a file or a pipe; what goes wrong in reading them is no error of the output."""

    def __init__(self, path: Path) -> None:
        self._shown = "the input pipe" if str(path) == "-" else printable(str(path))
        with self._blamed():
            super().__init__(io.FileIO(sys.stdin.fileno(), closefd=False) if str(path) == "-" else io.FileIO(path))

    def read(self, size: int | None = -1, /) -> bytes:
        with self._blamed():
            return super().read(size)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self._shown} cannot be read: {error.strerror}") from error


@contextmanager
def _raw_sink(path: str, overwrite: bool) -> Iterator[BinaryIO]:
    if path == "-":
        try:
            yield sys.stdout.buffer
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter still flushes
            raise OutputError(f"the output pipe cannot be written: {error.strerror}") from error
        return
    from pnpvideo.publish import published

    with published(Path(path), overwrite=overwrite) as place, open(place, "wb") as file:
        yield file
