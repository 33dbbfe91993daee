"""pnpvideo edit and pnpvideo direction: from words to the engine, and to files."""

import json
from pathlib import Path

import pytest
import torch
from pnpvideo.cli.main import main

from pnpvideo.methods.pix2pix_zero import Pix2PixZero
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.settings.options import Options
from pnpvideo.words.direction import EditDirection
from pnpvideo.words.direction_file import load_direction, save_direction

from .conftest import Engine

Output = pytest.CaptureFixture[str]


def edit(*words: str) -> int:
    return main(["edit", "in.mp4", "-o", "out.mp4", *words])


def test_two_concepts_are_enough(engine: Engine) -> None:
    assert edit("--from", "ball", "--to", "cube") == 0
    asked = Options.from_flat({"method": "pix2pix-zero", "change": ("ball", "cube")})
    assert engine.calls == [(Path("in.mp4"), None, "out.mp4", asked)]


def test_directions_come_with_strengths(engine: Engine) -> None:
    files = ("a.safetensors:1.2", "b.pt", "c:d.safetensors:-0.5")
    assert edit(*(word for file in files for word in ("--direction", file)), "--method", "pnp") == 0
    assert engine.options.prompts.directions == (("a.safetensors", 1.2), ("b.pt", 1.0), ("c:d.safetensors", -0.5))
    assert isinstance(engine.options.method, PlugAndPlay) and engine.options.prompts.change is None


def test_a_file_of_options_keeps_the_method_of_edit(engine: Engine) -> None:
    Path("pnpvideo.toml").write_text(
        'method = "sdedit"\nsteps = 7\nmask = "m.png"\n'
        'directions = ["far/a.safetensors:2"]\nchange = ["ball", "cube"]\n'
    )
    assert edit() == 0
    asked = engine.options
    assert isinstance(asked.method, Pix2PixZero) and asked.sampling.steps == 7
    assert (asked.region.mask, asked.prompts.change) == (Path("m.png"), ("ball", "cube"))
    assert asked.prompts.directions == (("far/a.safetensors", 2.0),)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "give --from and --to, or a --direction"),
        (["--from", "ball"], "give --from and --to together"),
        (["--from", "ball", "--to", "cube", "--method", "sdedit"], "--method"),
        (["--from", "ball", "--to", " "], "change is"),
        (["--from", "a", "--to", "b", "--regularize", "3"], "regularize is 3"),
        (["--from", "a", "--to", "b", "--mask", "m.png", "--keep-background"], "both given"),
    ],
)
def test_what_is_no_edit_is_refused(engine: Engine, capsys: Output, words: list[str], complaint: str) -> None:
    assert edit(*words) == 2
    assert complaint in capsys.readouterr().err and engine.calls == []


@pytest.mark.parametrize("line", ["change = 5", 'change = "ab"', "directions = 3", "mask = 1", "keep_background = 2"])
def test_a_file_that_says_no_edit_is_refused(engine: Engine, capsys: Output, line: str) -> None:
    Path("pnpvideo.toml").write_text(line + "\n")
    assert edit("--direction", "a.safetensors") == 2
    said = capsys.readouterr().err
    assert said.startswith("pnpvideo: pnpvideo.toml: ") and line.split()[0] in said


def build(*words: str) -> int:
    return main(["direction", "build", "--from", "hen", "--to", "fox", "-o", "d.safetensors", *words])


def test_a_direction_is_built_and_shown(checkpoint: Path, capsys: Output) -> None:
    assert build("--model", str(checkpoint), "--json") == 0
    built = json.loads(capsys.readouterr().out)
    assert (built["from"], built["to"], built["tokens"], built["channels"]) == ("hen", "fox", 20, 16)
    assert built["sentences"]["hen"]["kept"] > 500 and built["norm"] > 0
    assert main(["direction", "show", "d.safetensors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == built
    assert main(["direction", "show", "d.safetensors"]) == 0
    assert "from 'hen' to 'fox'" in capsys.readouterr().out
    assert build("--model", str(checkpoint)) == 6
    assert "exists; name another output, or replace it: -y" in capsys.readouterr().err
    assert build("--model", str(checkpoint), "-y") == 0


def test_sentences_come_from_files(checkpoint: Path, capsys: Output) -> None:
    Path("hens.txt").write_text("a hen\na hen\nno bird\n\ntwo hens on grass\n")
    Path("foxes.txt").write_text("a fox\n")
    files = ["--from-sentences", "hens.txt", "--to-sentences", "foxes.txt"]
    assert build("--model", str(checkpoint), *files) == 0
    said = capsys.readouterr()
    assert "'hen': 2 sentences; 1 dropped: said twice, 1 dropped: without 'hen', 1 dropped: empty" in said.out
    assert load_direction(Path("d.safetensors")).counts["fox"] == {"kept": 1}
    assert build("-y", "--from-sentences", "hens.txt") == 2
    Path("foxes.txt").write_text("a cow\n")
    assert build("-y", "--model", str(checkpoint), *files) == 2
    assert "no sentence says 'fox'; dropped were: {\"without 'fox'\": 1}" in capsys.readouterr().err


def test_a_file_that_is_no_direction_is_bad_input(capsys: Output) -> None:
    Path("d.pt").write_text("nothing")
    assert main(["direction", "show", "d.pt"]) == 3
    assert main(["direction", "show", "none.pt"]) == 3
    save_direction(EditDirection(delta=torch.zeros(3, 2), source="a", target="b", encoder="x"), Path("ok.safetensors"))
    assert main(["direction", "show", "ok.safetensors"]) == 0
    assert "0.000" in capsys.readouterr().out
