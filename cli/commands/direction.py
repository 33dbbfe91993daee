"""pnpvideo direction: build or show an edit direction in the space of text embeddings."""

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.errors import OutputError, printable
from pnpvideo.events import Notice, Progress, Report

from ..render import progress_option, rendering
from ..settings import given, resolve, setting
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options

if TYPE_CHECKING:
    from pnpvideo.backends.text import Towers
    from pnpvideo.words.direction import EditDirection
    from pnpvideo.words.sentences import SentenceSet


@click.group(short_help="Build or show an edit direction.")
def direction() -> None:
    """Edit directions: the way from one concept to another, as the model's text encoder sees it."""


@direction.command()
@click.option("--from", "source", required=True, metavar="CONCEPT", help="Where the direction begins, such as ball.")
@click.option("--to", "target", required=True, metavar="CONCEPT", help="Where it ends, such as cube.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write (.safetensors).")
@click.option(
    "--from-sentences",
    type=click.Path(path_type=Path),
    help="Text file, a sentence about --from a line; without it, built-in templates.",
)
@click.option("--to-sentences", type=click.Path(path_type=Path), help="The same for --to.")
@click.option(
    "--language-model",
    metavar="MODEL",
    help="Folder or hub id of a language model, causal or seq2seq, that writes the sentences.",
)
@click.option("--count", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Sentences it writes.")
@setting("model")
@setting("seed", help="Seed of the language model's choices.  [default: 0]")
@setting("device")
@click.option("-y", "--overwrite", is_flag=True, help="Replace the output if it exists.")
@json_option("Print what was built as one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def build(context: click.Context, output: Path, overwrite: bool, as_json: bool, progress: str, **_stated: Any) -> None:
    """Build the direction from one concept to another, out of sentences about each.

    \b
    pnpvideo direction build --from ball --to cube -o ball2cube.safetensors
    pnpvideo direction build --from cat --to dog --from-sentences c.txt --to-sentences d.txt -o cat2dog.safetensors
    """
    request = BuildRequest.of(context)
    if output.suffix != ".safetensors":
        raise OutputError(f"{printable(str(output))} is no name of a direction; accepted: .safetensors")
    from pnpvideo.video.destination import check_file

    check_file(output, overwrite)
    options = resolve(given(context), None).values
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    from pnpvideo.backends.checkpoint import locate_text
    from pnpvideo.backends.device import choose_device
    from pnpvideo.backends.text import load_text
    from pnpvideo.settings.models import resolve as resolve_model
    from pnpvideo.words.direction import build_direction
    from pnpvideo.words.direction_file import save_direction

    with rendering(progress, quiet=verbosity.quiet, stream=sys.stderr) as report:
        device = choose_device(options.get("device", "auto"))
        tower = load_text(locate_text(resolve_model(options.get("model", "miniature")), report), device)
        first, second = sentences_of(request, tower, options.get("seed", 0), report)
        total = len(first.sentences) + len(second.sentences)
        edit_direction = build_direction(
            tower,
            first,
            second,
            lambda count: report(Progress(stage="embed", done=count, total=total, unit="sentence")),
        )
        save_direction(edit_direction, output, overwrite=overwrite)
        report(Notice(message=f"wrote {output}"))
    print_facts(edit_direction, as_json)


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """Parameters of ``build``: the concepts, and the origin of sentences: files, a language model, else templates."""

    source: str
    target: str
    from_sentences: Path | None
    to_sentences: Path | None
    language_model: str | None
    count: int

    @classmethod
    def of(cls, context: click.Context) -> "BuildRequest":
        """Read the command's parameters. Raises UsageError if they contradict each other."""
        request = cls(**{field.name: context.params[field.name] for field in fields(cls)})
        if (request.from_sentences is None) != (request.to_sentences is None):
            raise click.UsageError("give --from-sentences and --to-sentences together")
        if request.from_sentences is not None and request.language_model is not None:
            raise click.UsageError("sentences come from files or from a language model, not from both")
        counted = context.get_parameter_source("count") == click.core.ParameterSource.COMMANDLINE
        if request.language_model is None and counted:
            raise click.UsageError("--count is for what a language model writes; name one with --language-model")
        if request.source.split() == request.target.split():
            raise click.UsageError(f"--from and --to are both {request.source!r}: there is no way between them")
        return request


def sentences_of(
    request: BuildRequest, tower: "Towers", seed: int, report: Report
) -> tuple["SentenceSet", "SentenceSet"]:
    """Return the sentences about the source and about the target."""
    from pnpvideo.words.sentences import filter_sentences, read_sentences
    from pnpvideo.words.templates import template_pairs

    if request.from_sentences is not None and request.to_sentences is not None:
        return (
            filter_sentences(request.source, read_sentences(request.from_sentences)),
            filter_sentences(request.target, read_sentences(request.to_sentences)),
        )
    if request.language_model is None:
        return template_pairs(request.source, request.target, tower.known)
    from pnpvideo.words.language_model import LanguageModel

    model = LanguageModel(request.language_model, tower.device, report)

    def write(concept: str) -> "SentenceSet":
        def progress(done: int) -> None:
            report(Progress(stage="write sentences", done=done, total=request.count, unit="sentence"))

        return filter_sentences(concept, model.sentences(concept, request.count, seed, progress))

    return write(request.source), write(request.target)


@direction.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option("Print one JSON object.")
@verbosity_options
def show(file: Path, as_json: bool) -> None:
    """Say what is in a direction's FILE."""
    from pnpvideo.words.direction_file import load_direction

    print_facts(load_direction(file), as_json)


def print_facts(direction: "EditDirection", as_json: bool) -> None:
    """Print concepts, shape, norms, encoder and numbers of sentences of a direction."""
    tokens, channels = direction.delta.shape
    norms = direction.delta.norm(dim=1)
    facts = {
        "from": direction.source,
        "to": direction.target,
        "tokens": tokens,
        "channels": channels,
        "norm": float(direction.delta.norm()),
        "largest_norm_of_a_token": float(norms.max()),
        "encoder": direction.encoder or None,
        "sentences": direction.counts,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"from {direction.source!r} to {direction.target!r}")
    click.echo(f"{tokens} tokens of width {channels}, norm {facts['norm']:.3f}")
    click.echo(f"text encoder: {printable(direction.encoder[:12]) or 'not said (a file of the reference project)'}")
    for word, counts in direction.counts.items():
        rest = ", ".join(
            f"{number} dropped: {printable(reason)}" for reason, number in counts.items() if reason != "kept"
        )
        click.echo(f"{word!r}: {counts['kept']} sentences{'; ' + rest if rest else ''}")
