"""The page: its layout in gradio, and which handler answers to what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from pnpvideo import __version__
from pnpvideo.explore.grid import FIXED, PROMPT
from pnpvideo.ui import markup
from pnpvideo.ui.controls import Control, Widget, controls, readers
from pnpvideo.ui.handlers import BY_CHANGE, BY_PROMPT, Handlers, is_shown
from pnpvideo.ui.limits import Limits
from pnpvideo.ui.session import Sessions
from pnpvideo.ui.work import Studio
from pnpvideo.video import containers, picture_formats

TITLE = "pnpvideo"
STYLE = Path(__file__).with_name("page.css")
SAME = ""
"""The output format that is the source's."""
SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".gif", ".webp", ".apng", ".png", ".jpg")

PICK = """
element.addEventListener("click", event => {
  const cell = event.target.closest("[data-cell]");
  if (cell) trigger("select", {cell: Number(cell.dataset.cell)});
});"""
FIRST_SECTION = "usual"


@dataclass
class Parts:
    """The components that handlers read or write, by what they are for."""

    options: dict[str, Any] = field(default_factory=dict)
    """The control of each option, by the option's name."""
    named: dict[str, Any] = field(default_factory=dict)
    """All others, by the names that handlers know them under."""


def build(sessions: Sessions, studio: Studio, start: Mapping[str, Any], models: tuple[str, ...], limits: Limits) -> Any:
    """The page as gradio.Blocks.

    start: values of options that the controls begin with. models: the checkpoints to choose from.
    """
    shown = controls(start, models)
    parts = Parts()
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)) as page:
        gr.Markdown(f"# {TITLE}\nTranslate a clip or a picture with words.", elem_id="pnp-title")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                _lay_out_questions(parts, shown)
            with gr.Column(scale=3, min_width=320, elem_id="pnp-answers"):
                _lay_out_answers(parts, shown)
        gr.Markdown(f"pnpvideo {__version__}", elem_id="pnp-version")
        _connect(page, parts, Handlers(sessions, studio, start, parts.options, parts.named), limits)
    return page


def theme() -> Any:
    """Gradio's default, in the fonts of the system, because no other site is asked for any."""
    return gr.themes.Default(
        font=("ui-sans-serif", "system-ui", "sans-serif"), font_mono=("ui-monospace", "Consolas", "monospace")
    )


def _lay_out_questions(parts: Parts, shown: list[Control]) -> None:
    """What is to be done: source, words, options."""
    named = parts.named
    accepted = [*containers.SUFFIXES, *picture_formats.SUFFIXES]
    named["source"] = gr.File(
        label="Clip or picture", file_types=sorted(accepted), type="filepath", height=130, elem_id="pnp-source"
    )
    named["source_view"] = gr.HTML()
    named["task"] = gr.Radio([BY_PROMPT, BY_CHANGE], value=BY_PROMPT, label="Translate", elem_id="pnp-task")
    named["prompt"] = gr.Textbox(
        label="Prompt", placeholder="an oil painting of a wolf", lines=2, elem_id="pnp-prompt", max_lines=6
    )
    with gr.Row(visible=False) as change:
        named["before"] = gr.Textbox(label="From", placeholder="ball", min_width=120, elem_id="pnp-from")
        named["after"] = gr.Textbox(label="To", placeholder="cube", min_width=120, elem_id="pnp-to")
    named["change"] = change
    with gr.Row():
        named["run"] = gr.Button("Run", variant="primary", elem_id="pnp-run", min_width=120)
        named["cancel"] = gr.Button("Cancel", elem_id="pnp-cancel", min_width=120)
    for section in dict.fromkeys(control.section for control in shown):
        own = [control for control in shown if control.section == section]
        usual = section == FIRST_SECTION
        with gr.Accordion("Options" if usual else section.capitalize(), open=usual), gr.Row(equal_height=True):
            for control in own:
                parts.options[control.name] = _component(control, shown)
            if usual:
                formats = [("as the source", SAME), *((suffix.removeprefix("."), suffix) for suffix in SUFFIXES)]
                named["suffix"] = gr.Dropdown(
                    formats, value=SAME, label="Format", info="Of the result.", min_width=190, elem_id="pnp-format"
                )
    with gr.Accordion("Mask", open=False):
        named["mask"] = gr.File(
            label="Mask: white where the result may change",
            file_types=sorted(accepted),
            type="filepath",
            height=110,
            elem_id="pnp-mask",
        )
        named["mask_view"] = gr.HTML(elem_id="pnp-mask-view")
        named["unmask"] = gr.Button("Remove the mask", elem_id="pnp-unmask")


def _lay_out_answers(parts: Parts, shown: list[Control]) -> None:
    """What came of it: results, cells, the comparison."""
    named = parts.named
    named["status"] = gr.HTML(elem_id="pnp-status", min_height=60)
    dials = [(control.label, control.name) for control in shown if control.name not in FIXED]
    with gr.Tabs(elem_id="pnp-tabs") as tabs:
        with gr.Tab("Result", id="result"):
            named["results"] = gr.HTML(markup.results([]), elem_id="pnp-results")
        with gr.Tab("Try options", id="preview"):
            gr.Markdown(
                "Translates a few frames by every combination of the values. Values are separated by commas, prompts "
                "by `|`. Press a cell to take its options."
            )
            for number, (name, values) in enumerate((("guidance", "2, 4, 7.5"), ("", "")), 1):
                with gr.Row():
                    named[f"dial_{number}"] = gr.Dropdown(
                        [("none", ""), ("Prompt", PROMPT), *dials],
                        value=name,
                        label=f"Dial {number}",
                        min_width=140,
                        elem_id=f"pnp-dial-{number}",
                    )
                    named[f"values_{number}"] = gr.Textbox(
                        value=values, label="Values", min_width=140, scale=2, elem_id=f"pnp-values-{number}"
                    )
            with gr.Row(equal_height=True):
                named["pictures"] = gr.Slider(1, 6, value=1, step=1, label="Frames to try", elem_id="pnp-pictures")
                named["preview"] = gr.Button("Try", variant="primary", elem_id="pnp-preview")
            named["cells"] = gr.HTML(elem_id="pnp-cells", js_on_load=PICK)
        with gr.Tab("Compare", id="compare"):
            named["compared"] = gr.CheckboxGroup([], label="Results to show beside the source", elem_id="pnp-compared")
            named["compare"] = gr.Button("Compare", variant="primary", elem_id="pnp-compare")
            named["comparison"] = gr.HTML(elem_id="pnp-comparison")
    named["tabs"] = tabs


def _component(control: Control, shown: list[Control]) -> Any:
    """The gradio component of a control, hidden if the method or the coherence at first does not read its option."""
    first = {each.name: each.content for each in shown}
    common = {
        "label": control.label,
        "info": control.help,
        "visible": is_shown(readers(control.name), first["method"], first["coherence"]),
        "min_width": 190,
        "elem_id": f"pnp-option-{control.name}",
    }
    if control.widget is Widget.CHOICE:
        return gr.Dropdown(list(control.choices), value=control.content, **common)
    if control.widget is Widget.SWITCH:
        return gr.Checkbox(value=control.content, **common)
    return gr.Textbox(value=control.content, placeholder=control.empty, **common)


def _connect(page: Any, parts: Parts, handlers: Handlers, limits: Limits) -> None:
    named, options = parts.named, parts.options
    asked = {named[name] for name in ("task", "prompt", "before", "after", "suffix")} | set(options.values())
    engine = {"concurrency_id": "engine", "concurrency_limit": 1, "show_progress_on": named["status"]}
    quick = {"queue": False, "show_progress": "hidden"}
    page.load(handlers.open, outputs=named["status"], **quick)
    page.unload(handlers.close)
    for role in ("source", "mask"):
        outputs = [named[role], named[f"{role}_view"], named["status"]]
        named[role].upload(
            getattr(handlers, f"take_{role}"),
            named[role],
            outputs,
            concurrency_limit=limits.sessions,
            show_progress="hidden",
        )
    named["unmask"].click(handlers.remove_mask, None, [named["mask_view"], named["status"]], **quick)
    named["task"].change(
        handlers.choose_task, named["task"], [named["prompt"], named["change"], options["method"]], **quick
    )
    read_by_some = [component for name, component in options.items() if readers(name) is not None]
    for chooser in ("method", "coherence"):
        options[chooser].change(handlers.show_read, [options["method"], options["coherence"]], read_by_some, **quick)
    ran = named["run"].click(
        handlers.run, asked, [named["status"], named["results"], named["compared"], named["tabs"]], **engine
    )
    dials = {named[name] for name in ("dial_1", "values_1", "dial_2", "values_2", "pictures")}
    tried = named["preview"].click(handlers.preview, asked | dials, [named["status"], named["cells"]], **engine)
    named["cells"].select(
        handlers.pick,
        None,
        [named["status"], named["task"], named["prompt"], named["before"], named["after"], *options.values()],
        **quick,
    )
    compared = named["compare"].click(
        handlers.compare, named["compared"], [named["status"], named["comparison"]], **engine
    )
    named["cancel"].click(handlers.cancel, None, named["status"], cancels=[ran, tried, compared], **quick)
