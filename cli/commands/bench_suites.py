"""pnpvideo bench NAME: public benchmarks, on your copy of their data."""

from pathlib import Path
from typing import Any

import click

from ..benchmark import only, recipe_options, run_benchmark
from ..render import progress_option
from ..settings import RECIPE, config_option, given, read_tables, resolve, settings, together
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options

MODES = ("compat", "strict")
NAMES = {
    "pie": ("PIE-Bench", "700 stills with masks, of ten kinds of edits: mapping_file.json and annotation_images/."),
    "ti2i": ("Wild-TI2I and ImageNet-R-TI2I", "Stills with several prompts each: lists in YAML or JSON, and pictures."),
    "flowedit": ("FlowEdit's benchmark", "Stills with several prompts each: flowedit.yaml and Images/."),
    "tgve": ("TGVE", "76 clips with four edits each: one CSV, and DAVIS_480p/, youtube_480p/, videvo_480p/."),
    "v2vbench": ("V2VBench", "50 clips with three edits each: one YAML file, and the clips."),
    "five": ("FiVE", "420 edits of clips: edit_prompt/, images/ or videos/, and bmasks/."),
}
"""Name -> title, and what it reads; here as well as in the suites, since help loads nothing heavy."""

suite_settings = together(
    click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        required=True,
        help="Folder of the benchmark's unpacked data.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for results, table, JSON and journal; the same command goes on from it.",
    ),
    click.option("--edits", type=click.IntRange(1), help="How many, evenly spread over the data.  [default: all]"),
    click.option(
        "--mode",
        "modes",
        type=click.Choice(MODES),
        multiple=True,
        default=MODES,
        show_default=True,
        help="Figures as the paper's code computes them, or without its faults; may be given again.",
    ),
    click.option(
        "--clip",
        default="openai/clip-vit-large-patch14",
        show_default=True,
        help="Who judges text: a CLIP model, a folder or hub id.",
    ),
    click.option(
        "--dino",
        default="facebook/dino-vitb8",
        show_default=True,
        help="Whose keys compare structure: a ViT, a folder or hub id.",
    ),
    click.option("--lpips", type=click.Path(path_type=Path), help="LPIPS weights with SqueezeNet, in safetensors."),
    recipe_options("those of the benchmark"),
    settings(RECIPE),
    config_option,
    json_option("Print the figures as one JSON object."),
    progress_option,
    verbosity_options,
)


def _command(name: str, title: str, reads: str) -> click.Command:
    @suite_settings
    @click.pass_context
    def run(context: click.Context, **asked: Any) -> None:
        _run(name, context, asked)

    run.__doc__ = (
        f"Run {title} on your copy of its data. {reads}\n\nPrints a table for each mode, with the published rows "
        "beside it, and the settings. Figures whose judge is missing are left out, and the command says how to get it. "
        "--output keeps the results, and lets an interrupted run continue."
    )
    return click.command(name, short_help=f"{title}.")(run)


def _run(name: str, context: click.Context, asked: dict[str, Any]) -> None:
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    base = resolve(given(context), asked["config"]).options()
    from pnpvideo.backends.device import choose_device
    from pnpvideo.measure.pareto import check_plots, plot_pareto
    from pnpvideo.measure.suites.judges import load_judges
    from pnpvideo.measure.suites.mode import Mode
    from pnpvideo.measure.suites.registry import SUITES
    from pnpvideo.measure.suites.runner import SuiteOptions, read_rows, run_suite

    suite = SUITES[name]
    recipes = only(read_tables(asked["recipe_file"]) if asked["recipe_file"] else suite.recipes, asked["chosen"])
    if asked["output"] is not None:
        check_plots()
    options = SuiteOptions(
        rows=asked["edits"], modes=[Mode(mode) for mode in dict.fromkeys(asked["modes"])], output=asked["output"]
    )

    def measure(report: Any, journal: Path | None) -> Any:
        rows = read_rows(suite, asked["data"], report)  # what is wrong with them is said before any model is loaded
        verbosity.resumable = options.output is not None
        judges = load_judges(asked["clip"], asked["dino"], asked["lpips"], str(choose_device(base.runtime.device)))
        return run_suite(suite, rows, base, recipes, judges, options, report)

    found = run_benchmark(context, asked, measure, columns=6, width=160, noun="edit")
    if asked["output"] is not None:
        for mode in options.modes:
            against = {suite.title: found.means(mode)}
            if any("match" in row for row in against[suite.title].values()):
                plot_pareto(against, asked["output"] / f"pareto-{mode.value}.png", axes=suite.axes)


SUITE_COMMANDS = [_command(name, *texts) for name, texts in NAMES.items()]
"""One command for each benchmark."""
