"""Run a student: on arrays, or on a clip whose frames are read, translated and written by threads of their own."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.device import choose_device
from pnpvideo.errors import InputError, NotFiniteError
from pnpvideo.events import Progress, Report, ignore
from pnpvideo.settings.options import Reading
from pnpvideo.sidecar import remove_sidecar
from pnpvideo.student.network import channels_last, fastest_dtype
from pnpvideo.student.student_file import Student
from pnpvideo.student.threads import Ahead, Workers
from pnpvideo.video.clip import Clip
from pnpvideo.video.destination import check_output, report_left_out
from pnpvideo.video.pixels import composite_over_white, resize, to_display, working_size
from pnpvideo.video.write import Writer

MOST_AT_ONCE = 4
"""Pictures, each of which needs memory of its own."""


class Applier:
    """A student that is ready to translate pictures one after another.

    precision: "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies matrices in it (AMX), and on
    GPUs. size: short side in pixels at which it works; None: that of its training. Raises DeviceError for a device that
    is not there.
    """

    def __init__(
        self, student: Student, *, device: torch.device | str = "cpu", precision: str = "auto", size: int | None = None
    ) -> None:
        self.device = choose_device(device) if isinstance(device, str) else device
        named = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        self.dtype = fastest_dtype(self.device) if precision == "auto" else named[precision]
        self.network = channels_last(student.network).to(self.device, self.dtype)
        self.short = size or min(student.card.size)
        self.multiple = student.card.shape.multiple

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Translate a picture (h, w, 3 or 4) uint8; the result has its size, and its alpha. Raises NotFiniteError."""
        display = picture.shape[1], picture.shape[0]
        size = working_size(*display, self.short, self.multiple)
        pixels = torch.tensor(resize(composite_over_white(picture), size), device=self.device)
        made = self.network(_to_network(pixels, self.dtype))
        levels = made.float().add(1).mul(127.5)
        if not bool(torch.isfinite(levels).all()):
            raise NotFiniteError("the student gave NaN or infinity; its weights do not fit this picture")
        result = levels.round().clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).cpu().numpy()
        return to_display(result, picture, display)

    def threads(self, frames: int | None) -> int:
        """How many pictures of a clip to translate at once; ``frames``: it has, where that is known.

        On a processor, as many as it has threads: so small a network hardly keeps two of them busy with one picture.
        """
        if self.device.type != "cpu":
            return 1
        return min(torch.get_num_threads(), MOST_AT_ONCE, frames or MOST_AT_ONCE)


def apply(
    applier: Applier,
    input: Path | str,
    output: Path | str,
    *,
    reading: Reading | None = None,
    overwrite: bool = False,
    report: Report = ignore,
) -> Path:
    """Translate a clip, still or folder of frames with a student; times, sound and alpha stay. Returns the path.

    The sidecar of a result that stood there before is removed, since it does not say how this one was made. Raises
    PnPVideoError, and leaves the output path as it was.
    """
    clip = (reading or Reading()).open(input, report)
    check_output(output, clip.info, overwrite)
    report_left_out(clip, output, report)
    path = write_translated(applier, clip, output, overwrite=overwrite, report=report)
    remove_sidecar(path, report)
    return path


def write_translated(
    applier: Applier, clip: Clip, output: Path | str, *, overwrite: bool = False, report: Report = ignore
) -> Path:
    """Translate the frames of an open clip and write them to ``output``, whose path is returned."""
    with (
        Writer(output, clip.info, overwrite=overwrite, span_seconds=clip.span_seconds) as writer,
        Workers(applier, applier.threads(clip.info.frames)) as workers,
        Ahead((frame, workers.start(frame.pixels)) for frame in clip.frames()) as frames,
    ):
        for frame, picture in frames:
            writer.append(picture.result(), frame.pts_seconds, frame.duration_seconds)
            report(Progress(stage="write", done=writer.frames, total=clip.info.frames or 0, unit="frame"))
    return writer.path


def apply_raw(applier: Applier, source: BinaryIO, sink: BinaryIO, size: tuple[int, int]) -> int:
    """Translate raw frames, RGB of 8 bits and ``size`` = (width, height), from one pipe to another; return how many.

    Frames go out as they come in, so a camera works. Raises InputError if the last frame is not whole; what came before
    has been written then.
    """
    width, height = size

    def raw_frames() -> Iterator[np.ndarray]:
        length, number = 3 * width * height, 0
        while data := _read_exactly(source, length):
            if len(data) < length:
                raise InputError(
                    f"the raw frames end with {len(data)} bytes of frame {number}; a frame of {width} x {height} is "
                    f"{length} bytes of RGB"
                )
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
            number += 1

    written = 0
    with Workers(applier, applier.threads(None)) as workers, Ahead(map(workers.start, raw_frames())) as pictures:
        for picture in pictures:
            sink.write(np.ascontiguousarray(picture.result()).tobytes())
            sink.flush()
            written += 1
    return written


def _read_exactly(source: BinaryIO, length: int) -> bytes:
    """``length`` bytes, or fewer at the end; a pipe gives what it has."""
    parts = []
    while length and (part := source.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _to_network(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """(h, w, 3) uint8 -> (1, 3, h, w) in [-1, 1], channels last."""
    x = pixels.permute(2, 0, 1).unsqueeze(0).to(dtype)
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)
