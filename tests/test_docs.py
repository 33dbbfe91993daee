"""The documentation holds: its commands and Python examples run, its links lead somewhere, its flags exist."""

import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import huggingface_hub.constants
import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from PIL import Image
from pnpvideo.cli.main import main
from pnpvideo.cli.main import pnpvideo as commands
from safetensors.torch import load_file

import pnpvideo
from pnpvideo.settings.card import FACTS, RECOMMENDABLE, Card
from pnpvideo.settings.models import ALIASES
from pnpvideo.settings.options import OptionGroups
from pnpvideo.video.ffmpeg import executable
from pnpvideo.words.script import DEFAULT_CAPTIONERS
from tests.backends.originals import original, write_folder, write_single
from tests.controlnets import original as controlnet_by_original_names
from tests.controlnets import write_controlnet

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "docs/quickstart.md",
    "docs/own-checkpoint.md",
    "docs/editing.md",
    "docs/checkpoints.md",
    "docs/control.md",
    "docs/choosing.md",
    "docs/batch.md",
    "docs/comparing.md",
    "docs/inside.md",
    "docs/world.md",
)
"""In the order in which a newcomer reads them."""
SLOW = (
    "docs/own-checkpoint.md",
    "docs/checkpoints.md",
    "docs/control.md",
    "docs/editing.md",
    "docs/choosing.md",
    "docs/batch.md",
    "docs/inside.md",
    "docs/world.md",
)
EXTENDING = "docs/extending.md"
WALKS = ("A method", "A coherence", "A backend", "A command")
"""The sections of the page on extending."""
EVERY_PAGE = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
REVISION = "0" * 40
SETUP = ("make ", "source ", "python3 -m venv ", ".venv/bin/python -m pip ")
"""How lines begin that prepare a machine, and are not run here."""


class Block(NamedTuple):
    """A fenced block of a page. section: the heading of second level above it."""

    page: str
    section: str
    language: str
    text: str

    def lines(self) -> list[str]:
        """Commands of a shell block, continuation lines joined."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks(page: str) -> Iterator[Block]:
    section, language, inside = "", "", list[str]()
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("```") and language:
            yield Block(page, section, language, "\n".join(inside))
            language, inside = "", []
        elif line.startswith("```"):
            language = line.removeprefix("```").strip() or "text"
        elif language:
            inside.append(line)
        elif line.startswith("## "):
            section = line.removeprefix("## ")


@pytest.fixture(scope="module")
def desk(checkpoint: Path, xl_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The reader's folder, with the samples and clips of their own; tiny sizes and one step by variables.

    The hub's cache has tiny checkpoints under the names of Stable Diffusion 1.5 and XL, and a captioner under BLIP's.
    The first says that it was distilled to few steps, so that examples from Python are quick too.
    """
    folder = tmp_path_factory.mktemp("desk")
    (folder / "samples").mkdir()
    for clip in (ROOT / "samples").glob("*.mp4"):
        shutil.copy(clip, folder / "samples")
    small = ["-i", f"file:{ROOT / 'samples/ball.mp4'}", "-frames:v", "2", "-s", "64x64"]
    for name in ("wolf.mp4", "clip.mp4"):
        subprocess.run([executable(), "-v", "error", *small, f"file:{folder / name}"], check=True)
    picture = np.full((64, 64, 3), (150, 200, 235), np.uint8)
    picture[24:44, 20:40] = (220, 60, 50)
    Image.fromarray(picture).save(folder / "photo.png")
    for season in ("summer", "winter"):
        sentences = (f"{kind} of an oak in {season}\n" for kind in ("a photo", "a painting", "a drawing"))
        (folder / f"{season}.txt").write_text("".join(sentences), encoding="utf-8")
    model = folder / "path/to/checkpoint"
    shutil.copytree(checkpoint, model)
    whole = original(write_folder(folder / "first", "1.x"), "1.x")
    write_single(folder / "path/to/model.safetensors", whole)
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    ink = {f"{layer}.lora_down.weight": torch.zeros(1, 32), f"{layer}.lora_up.weight": torch.zeros(32, 1)}
    write_single(folder / "path/to/ink.safetensors", ink)
    width = json.loads((checkpoint / "text_encoder/config.json").read_text(encoding="utf-8"))["hidden_size"]
    write_single(folder / "path/to/inkwash.safetensors", {"emb_params": torch.zeros(2, width)})
    network = UNet2DConditionModel.from_pretrained(checkpoint / "unet")
    canny = load_file(
        write_controlnet(folder / "path/to/control_pose", network) / "diffusion_pytorch_model.safetensors"
    )
    write_single(folder / "path/to/control_canny.safetensors", controlnet_by_original_names(canny))
    (folder / "path/to/poses").mkdir()
    for number in range(2):
        Image.fromarray(picture).save(folder / f"path/to/poses/{number}.png")
    AutoencoderTiny().save_pretrained(folder / "path/to/taesd")
    scheduler = model / "scheduler/scheduler_config.json"
    scheduler.write_text(scheduler.read_text("utf-8").replace("DDIMScheduler", "LCMScheduler"), encoding="utf-8")
    hub = folder / "home/hub"
    captioner = Path(ALIASES["miniature"].source) / "captioner"
    cached = {ALIASES["sd15"].source: model, ALIASES["sdxl"].source: xl_checkpoint, DEFAULT_CAPTIONERS[0]: captioner}
    for name, weights in cached.items():
        snapshot = hub / f"models--{name.replace('/', '--')}" / "snapshots" / REVISION
        snapshot.parent.mkdir(parents=True)
        snapshot.symlink_to(weights)
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs/main").write_text(REVISION, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "APPDATA"):
            patch.setenv(name, str(folder / "home"))
        for name, value in {"SIZE": "32", "STEPS": "1", "FRAMES": "0:1", "DEVICE": "cpu"}.items():
            patch.setenv(f"PNPVIDEO_{name}", value)
        for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
            patch.setenv(name, "error")
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.chdir(folder)
        yield folder


def sections() -> Iterator[Any]:
    """Every section of PAGES that has commands or code; what a section needs of others, the desk has."""
    for page in PAGES:
        for section in dict.fromkeys(block.section for block in blocks(page)):
            yield pytest.param(page, section, marks=[pytest.mark.slow] if page in SLOW else [])


@pytest.mark.parametrize(("page", "section"), [*sections()])
def test_commands_and_examples_run_in_their_order(page: str, section: str, desk: Path) -> None:
    for block in blocks(page):
        if block.language == "toml" and (named := re.match(r"# (\S+\.toml)\n", block.text)):
            (desk / named[1]).write_text(block.text, encoding="utf-8")
        if block.section == section and block.language == "python":
            exec(compile(block.text, f"{page}: {section}", "exec"), {"__name__": "example"})
        elif block.section == section and block.language == "sh":
            for line in block.lines():
                if line.startswith("pnpvideo "):
                    assert main(shlex.split(line)[1:]) == 0, line
                else:
                    assert line.startswith(SETUP), f"{page} has a command that no test runs: {line}"


def test_no_output_is_written_twice() -> None:
    lines = [line for page in PAGES for block in blocks(page) if block.language == "sh" for line in block.lines()]
    outputs = [words[words.index("-o") + 1] for words in map(shlex.split, lines) if "-o" in words]
    assert len(outputs) > 5
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("section", WALKS)
def test_the_code_of_a_walk_through_runs(section: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block whose first line names a file becomes that module; any other is run as a script."""
    codes = [block.text for block in blocks(EXTENDING) if block.section == section and block.language == "python"]
    assert codes
    for code in codes:
        named = re.match(r"# ((?:pnpvideo|cli)/\S+)\.py\n", code)
        module = ModuleType(re.sub(r"^cli\.", "pnpvideo.cli.", named[1].replace("/", ".")) if named else "example")
        if named:
            assert not (ROOT / f"{named[1]}.py").exists(), "the example is a part of the package by now"
            module.__package__ = module.__name__.rpartition(".")[0]
            monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(code, f"{EXTENDING}: {section}", "exec"), module.__dict__)


def test_every_section_of_extending_is_run() -> None:
    assert tuple(dict.fromkeys(block.section for block in blocks(EXTENDING))) == WALKS


def test_the_docstring_of_the_package_names_verbs_and_groups_as_they_are() -> None:
    said = pnpvideo.__doc__ or ""
    calls = re.findall(r"^    (\w+)\((.*?)\)  ", said, re.MULTILINE)
    assert [name for name, _ in calls] == ["translate", "edit", "plan", "probe", "load"]
    for name, arguments in calls:
        wanted = re.sub(r"\(.*?\)", "change", arguments).split(", ")
        assert list(inspect.signature(getattr(pnpvideo, name)).parameters)[: len(wanted)] == wanted, name
    groups = re.findall(r"``(\w+)``", said)
    assert set(groups) <= set(OptionGroups.__annotations__) | {"import"}
    assert all(hasattr(pnpvideo, name) for name in re.findall(r"\b[A-Z]\w*[a-z0-9][A-Z]\w*\b", said))


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(path), f"{page} links to {target}"


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    others = {page.removeprefix("docs/") for page in EVERY_PAGE if page.startswith("docs/")} - {"index.md"}
    assert {name for name in others if f"({name})" not in index} == set()


def flags(command: click.Command) -> set[str]:
    own = {
        flag
        for param in command.params
        if isinstance(param, click.Option)
        for flag in [*param.opts, *param.secondary_opts]
    }
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*(flags(one) for one in inner), {"--help", "--help-all"})


NAMES_FLAGS = ("concepts", "methods", "troubleshooting", "card", "limits", "measures", "architecture")


@pytest.mark.parametrize("page", [*PAGES[:-1], *(f"docs/{name}.md" for name in NAMES_FLAGS)])
def test_flags_that_a_page_names_exist(page: str) -> None:
    text = re.sub(r"python -m (?!pnpvideo ).*", "", (ROOT / page).read_text(encoding="utf-8"))  # of other programs
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert named
    assert named - flags(commands) == set()


def test_files_that_pages_name_exist() -> None:
    """Paths into the tree in backticks, from the tree's root or from pnpvideo/."""
    for page in ("CONTRIBUTING.md", "docs/architecture.md", "docs/extending.md", "docs/world.md", "docs/measures.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        new = set(re.findall(r"^# ((?:pnpvideo|cli)/\S+\.py)$", text, re.MULTILINE))
        for name in set(re.findall(r"`((?:[\w-]+/)+[\w-]*(?:\.\w+)?)`", text)) - new:
            if name.startswith(("DIR/", "out/")):  # made by commands
                continue
            assert any((root / name).exists() for root in (ROOT, ROOT / "pnpvideo")), f"{page} names {name}"


def table_rows(page: str, first: str) -> dict[str, list[str]]:
    """The rows of the tables of ``page`` whose first column has the heading ``first``: its text -> the other cells."""
    rows: dict[str, list[str]] = {}
    heading = ""
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        heading = (heading or cells[0]) if cells else ""
        if heading == first and cells[0] != first and not cells[0].startswith("-"):
            rows[cells[0].strip("`")] = cells[1:]
    return rows


def test_the_table_of_aliases_has_their_sources_sizes_and_licences() -> None:
    rows = table_rows("docs/own-checkpoint.md", "alias")
    assert list(rows) == list(ALIASES)
    for name, (_, source, download, licence) in rows.items():
        alias = ALIASES[name]
        assert licence == alias.licence
        if alias.gigabytes:
            assert (source, download) == (f"`{alias.source}`", f"{alias.gigabytes:g} GB")


def test_the_page_on_cards_has_every_key() -> None:
    assert set(table_rows("docs/card.md", "key")) == {*RECOMMENDABLE, *FACTS}


def test_the_example_of_a_card_is_one() -> None:
    (text,) = (block.text for block in blocks("docs/card.md") if block.language == "json")
    Card.from_mapping(json.loads(text), {})
