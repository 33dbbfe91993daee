"""A sidecar stands beside each result, and says how it was made."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pnpvideo.compare.runs import read_run
from pnpvideo.early import check_run
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Event, Notice
from pnpvideo.pipeline import translate
from pnpvideo.report import content_hash
from pnpvideo.settings.options import Options
from pnpvideo.sidecar import command, read_sidecar, sidecar_path, stated_values

MakeOptions = Callable[..., Options]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (48, 32), (200, 90, 40)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def test_a_sidecar_says_how_a_result_was_made(picture: Path, options: MakeOptions, tmp_path: Path) -> None:
    chosen = options(guidance=3.0, mask=picture)
    result = translate(picture, "a fox", tmp_path / "out.png", chosen)
    facts = json.loads((tmp_path / "out.png.json").read_text("utf-8"))
    assert facts["output_sha256"] == sha256((tmp_path / "out.png").read_bytes()).hexdigest()
    assert facts["input_sha256"] == content_hash(picture) == facts["files_sha256"][str(picture)]
    assert facts["model_fingerprint"] == result.report["model_fingerprint"] and facts["versions"]["pnpvideo"]
    assert facts["origins"]["guidance"] == "call" and facts["origins"]["solver"] == "preset"
    assert "--guidance 3.0" in facts["command"] and facts["command"].endswith(f"-- {picture} 'a fox'")
    read = read_sidecar(tmp_path / "out.png.json")
    assert (read.input, read.prompt, read.output_name) == (picture, "a fox", "out.png")
    stated = {**options().changed({"guidance": 3.0, "mask": picture}).stated()}
    stated.pop("store")
    assert dict(read.values) == stated
    assert read_run(tmp_path / "out.png.json").facts["prompt"] == "a fox"  # as `compare` reads it


def test_the_documentation_lists_every_key(picture: Path, options: MakeOptions, tmp_path: Path) -> None:
    result = translate(picture, "a fox", tmp_path / "out.png", options())
    facts = json.loads((tmp_path / "out.png.json").read_text("utf-8"))
    page = (Path(__file__).resolve().parents[1] / "docs" / "batch.md").read_text("utf-8")
    table = page.partition("### What a sidecar says")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {key for row in rows for key in re.findall("`([a-z0-9_]+)`", row)} == set(facts)
    assert set(facts) - set(result.report) == {"format", "command", "input_path", "stated"}


def test_no_sidecar_is_written_where_none_is_wanted(picture: Path, options: MakeOptions, tmp_path: Path) -> None:
    translate(picture, "a fox", tmp_path / "out.png", options(sidecar=False))
    assert not (tmp_path / "out.png.json").exists()


def test_the_sidecar_of_a_result_that_is_replaced_goes_with_it(
    picture: Path, options: MakeOptions, tmp_path: Path
) -> None:
    heard: list[Event] = []
    translate(picture, "a fox", tmp_path / "out.png", options())
    translate(picture, "a hen", tmp_path / "out.png", options(sidecar=False, overwrite=True), report=heard.append)
    assert not (tmp_path / "out.png.json").exists()
    assert any("out.png.json was the sidecar of the former result" in str(event) for event in heard)
    (tmp_path / "out.png.json").write_text("{}", "utf-8")
    translate(picture, "a hen", tmp_path / "out.png", options(sidecar=False, overwrite=True))
    assert (tmp_path / "out.png.json").read_text("utf-8") == "{}"  # nobody's sidecar


def test_the_sidecar_of_a_folder_lies_beside_it(picture: Path, options: MakeOptions, tmp_path: Path) -> None:
    translate(picture, "a fox", f"{tmp_path}/frames/", options())
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["000000.png"]
    facts = read_sidecar(tmp_path / "frames.json").facts
    assert facts["output_sha256"] == content_hash(tmp_path / "frames")
    assert sidecar_path("a/frames/") == Path("a/frames.json")


def test_a_foreign_file_is_replaced_only_with_overwrite(picture: Path, options: MakeOptions, tmp_path: Path) -> None:
    heard: list[Event] = []
    other = tmp_path / "out.png.json"
    other.write_text("{}", "utf-8")
    translate(picture, "a fox", tmp_path / "out.png", options(), report=heard.append)
    assert other.read_text("utf-8") == "{}"
    assert any("is no sidecar" in event.message for event in heard if isinstance(event, Notice))
    translate(picture, "a fox", tmp_path / "out.png", options(overwrite=True))
    assert read_sidecar(other).prompt == "a fox"
    (tmp_path / "out.png").unlink()
    translate(picture, "a hen", tmp_path / "out.png", options())  # a sidecar whose result is gone is replaced
    assert read_sidecar(other).prompt == "a hen"


def test_a_sidecar_that_cannot_be_written_loses_no_result(picture: Path, options: MakeOptions, tmp_path: Path) -> None:
    heard: list[Event] = []
    (tmp_path / "out.png.json").mkdir()
    translate(picture, "a fox", tmp_path / "out.png", options(overwrite=True), report=heard.append)
    assert (tmp_path / "out.png").is_file()
    assert any("sidecar" in event.message for event in heard if isinstance(event, Notice))


def test_the_command_states_each_option_as_a_flag() -> None:
    values: dict[str, Any] = {
        "method": "pix2pix-zero",
        "change": ("ball", "red cube"),
        "guidance_span": (0.0, 0.5),
        "directions": (("/d.safetensors", 1.5),),
        "keep_background": True,
        "frames": (2, 9),
        "overwrite": True,
        "store": Path("/s"),
    }
    chosen = Options.from_flat(values)
    facts = {"prompt": None, "input": "-in.mp4", "output": "o.mp4", "options": {"method": "pix2pix-zero"}}
    said = command(facts, stated_values(chosen))
    assert said.startswith("pnpvideo edit --from ball --to 'red cube' --method pix2pix-zero ")
    assert said.endswith(" -o o.mp4 -- -in.mp4")
    for words in ("--guidance-span 0.0:0.5", "--direction /d.safetensors:1.5", "--keep-background", "--frames 2:9"):
        assert words in said
    assert "overwrite" not in said and "store" not in said


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ("{", InputError, "is no sidecar"),
        ("[]", InputError, "is no sidecar"),
        ('{"format": "pnpvideo run 1"}', InputError, "damaged"),
        ('{"format": "pnpvideo run 1", "stated": {"steps": 0}}', OptionError, "steps is 0"),
        ('{"format": "pnpvideo run 1", "stated": {"stepz": 1}}', InputError, "stepz"),
        ('{"format": "pnpvideo run 1", "stated": {}, "input_path": 3, "prompt": "a"}', InputError, "no text"),
    ],
)
def test_what_is_no_sidecar_is_one_clear_error(content: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content, "utf-8")
    with pytest.raises(error, match=said):
        read_sidecar(tmp_path / "a.json")


def test_an_option_of_one_call_is_not_taken_from_a_sidecar(picture: Path, options: MakeOptions, tmp_path: Path) -> None:
    """A sidecar from elsewhere must not make a run write to, or remove from, a place that it names."""
    translate(picture, "a fox", tmp_path / "out.png", options())
    facts = json.loads((tmp_path / "out.png.json").read_text("utf-8"))
    facts["stated"] |= {"store": "/elsewhere", "store_limit": 0, "preview_file": "/elsewhere.png", "overwrite": True}
    (tmp_path / "out.png.json").write_text(json.dumps(facts), "utf-8")
    read = read_sidecar(tmp_path / "out.png.json").values
    assert not {"store", "store_limit", "preview_file", "overwrite"} & set(read)


def test_a_run_that_can_begin_passes_the_early_checks(picture: Path, tmp_path: Path) -> None:
    check_run(picture, "a fox", tmp_path / "out.png", Options())
