"""What the inspect commands share: their options, checks before the libraries load, and the files they write."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.early import check_input, check_options
from pnpvideo.errors import OutputError, printable
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.video.formats import PICTURES

from .render import progress_option, rendering
from .settings import Command, Setting, config_option, settings, together
from .verbosity import Verbosity, hush_libraries, json_option, verbosity_options

if TYPE_CHECKING:
    from PIL import Image

    from pnpvideo.inspect import Inspection, View
    from pnpvideo.settings.options import Options

READING = ("model", "source_prompt", "captioner", "frames", "track", "decoder", "allow_partial", "overwrite")
RUNNING = ("preset", "steps", "solver", "spacing", "seed", "size", "device", "dtype", "batch", "store")


class Numbers(click.ParamType[Any]):
    """Numbers with commas between them, such as "4,7,11". count: how many; None: one or more."""

    name = "numbers"

    def __init__(self, kind: type[int] | type[float], count: int | None = None) -> None:
        self.kind, self.count = kind, count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            found = tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            found = ()
        if not found or self.count not in (None, len(found)):
            what = "whole numbers" if self.kind is int else "numbers"
            self.fail(
                f"{value!r}; accepted are {self.count or 'one or more'} {what} with commas between them", param, ctx
            )
        return found


def usual(*names: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option of the commands' own, among the usual ones in the help."""
    return click.option(*names, cls=Setting, section="usual", **attributes)


def inspect_options(timesteps: str, pictures: str, layers: str, part: str = "decoder") -> Callable[[Command], Command]:
    """Add what all inspect commands take. timesteps, pictures, layers, part: the defaults, for the help."""
    return together(
        click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path)),
        usual(
            "-o",
            "--output",
            required=True,
            type=click.Path(path_type=Path),
            help=f"Sheet to write ({', '.join(PICTURES)}); its numbers go beside it, as .json.",
        ),
        usual("--pictures", type=click.IntRange(1), metavar="N", help=f"Frames of a clip.  [default: {pictures}]"),
        usual(
            "--timesteps",
            type=Numbers(float),
            metavar="T,...",
            help=f"Noise levels, 0 (clean) to 1000 (noise); the run's nearest are shown.  [default: {timesteps}]",
        ),
        usual("--layers", type=Numbers(int), metavar="N,...", help=f"Layers of the part.  [default: {layers}]"),
        usual(
            "--part",
            type=click.Choice(("encoder", "middle", "decoder", "transformer")),
            help=f"Part of the network; of Stable Diffusion 3, all is the transformer.  [default: {part}]",
        ),
        usual(
            "--site",
            "sites",
            multiple=True,
            metavar="NAME",
            help="Instead of --part and --layers: a module, such as up_blocks.1.resnets.1.conv2; may be given again.",
        ),
        usual("--raw", type=click.Path(path_type=Path), metavar="FILE", help="Write the tensors too (.safetensors)."),
        usual(
            "--tile", type=click.IntRange(16, 1024), default=128, show_default=True, help="Height of a tile in pixels."
        ),
        settings((*READING, *RUNNING)),
        config_option,
        json_option("Print the numbers as one JSON object."),
        progress_option,
        verbosity_options,
    )


at_option = usual("--at", type=Numbers(int), metavar="N,...", help="Numbers of the frames to take, from 0, instead.")


@dataclass(frozen=True)
class Request:
    """Where the results of one inspect command go. raw: None: no tensors are written."""

    inputs: Sequence[Path]
    output: Path
    raw: Path | None
    overwrite: bool

    @classmethod
    def of(cls, context: click.Context, options: "Options") -> "Request":
        """Check files and options before the libraries load. Raises PnPVideoError."""
        params = context.params
        request = cls(params["inputs"], params["output"], params["raw"], options.overwrite)
        request._check()
        for path in request.inputs:
            check_input(path, options.reading.track)
        check_options(options)
        return request

    @property
    def numbers(self) -> Path:
        """The JSON file beside the sheet."""
        return self.output.with_suffix(".json")

    def _check(self) -> None:
        from pnpvideo.video.destination import check_file

        if self.output.suffix.lower() not in PICTURES:
            raise OutputError(f"{_shown(self.output)} is no picture; accepted: {', '.join(PICTURES)}")
        if self.raw is not None and self.raw.suffix != ".safetensors":
            raise OutputError(f"{_shown(self.raw)} is no file of tensors; accepted: .safetensors")
        for path in (self.output, self.numbers, *([self.raw] if self.raw else [])):
            if any(path.exists() and source.exists() and path.samefile(source) for source in self.inputs):
                raise OutputError(f"{_shown(path)} is an input itself; name another output")
            check_file(path, self.overwrite)

    def write(self, found: "Inspection", sheet: "Image.Image") -> dict[str, Any]:
        """Write tensors, numbers and, last, the sheet. Returns the numbers. Raises OutputError."""
        from pnpvideo.publish import published, write_file

        facts = found.facts()
        text = json.dumps(facts, indent=2, allow_nan=False)
        if self.raw is not None:
            from safetensors.torch import save

            tensors = {name: tensor.contiguous() for name, tensor in found.tensors().items()}
            write_file(self.raw, save(tensors, metadata={"inspect": json.dumps(facts)}), overwrite=self.overwrite)
        write_file(self.numbers, f"{text}\n".encode(), overwrite=self.overwrite)
        with published(self.output, overwrite=self.overwrite) as path:
            if path.suffix.lower() == ".png":
                sheet.save(path, optimize=True)
            else:
                sheet.save(path, quality=90)
        return facts


def view_of(context: click.Context, timesteps: tuple[float, ...] | None = None) -> "View":
    """The view that the flags describe. timesteps: the command's default; None: the usual ones. Raises OptionError."""
    from pnpvideo.inspect import View

    names = ("pictures", "at", "timesteps", "part", "layers", "sites")
    named = {"timesteps": timesteps, **{name: context.params[name] for name in names if context.params.get(name)}}
    return View(**{name: value for name, value in named.items() if value is not None})


@contextmanager
def inspecting(context: click.Context) -> Iterator[Report]:
    """Show the events of a command."""
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    with rendering(context.params["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        yield report


def finish(context: click.Context, request: Request, found: "Inspection", sheet: "Image.Image", report: Report) -> None:
    """Write the files, and print what --json asks for."""
    facts = request.write(found, sheet)
    for path in (request.output, request.numbers, *([request.raw] if request.raw else [])):
        report(Notice(message=f"wrote {path}"))
    if context.params["as_json"]:
        click.echo(json.dumps(facts, indent=2))


def _shown(path: Path) -> str:
    return printable(str(path))
