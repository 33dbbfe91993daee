"""Errors that need no model library come before any is loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pnpvideo.cli.main import main

from pnpvideo.early import check_input, check_options, check_run
from pnpvideo.errors import DeviceError, InputError, ModelError, OutputError
from pnpvideo.settings.options import Options

from .conftest import START_OF_VIDEO

HEAVY = ("torch", "diffusers", "transformers", "accelerate", "huggingface_hub", "kornia", "numpy", "cv2", "PIL", "rich")
PROGRAM = f"""
import json, sys
from pnpvideo.cli.main import main
ended = [(main(words), [name for name in {HEAVY} if name in sys.modules]) for words in json.loads(sys.argv[1])]
print(json.dumps(ended))
"""
TRANSLATE = ["translate", "in.mp4", "a prompt", "-o", "out.mp4"]
EDIT = ["edit", "in.mp4", "--from", "ball", "--to", "cube", "-o", "out.mp4"]
PLAN = ["plan", "in.mp4"]

# the command, its exit code, and what its one line of error says
WRONG = (
    (["translate", "none.mp4", "a prompt", "-o", "out.mp4"], 3, "none.mp4 does not exist"),
    (["edit", "none.mp4", "--from", "ball", "--to", "cube", "-o", "out.mp4"], 3, "none.mp4 does not exist"),
    (["plan", "none.mp4"], 3, "none.mp4 does not exist"),
    (["probe", "none.mp4"], 3, "none.mp4 does not exist"),
    (["translate", "https://example.org/a.mp4", "a prompt", "-o", "out.mp4"], 3, "is a URL"),
    (["translate", "text.mp4", "a prompt", "-o", "out.mp4"], 3, "is no video"),
    (["probe", "empty.mp4"], 3, "is empty"),
    (["probe", "still.png", "--track", "1"], 3, "has no tracks"),
    (["translate", "in.mp4", "a prompt", "-o", "out.xyz"], 6, "out.xyz"),
    (["translate", "in.mp4", "a prompt", "-o", "taken.mp4"], 6, "taken.mp4 exists"),
    (["translate", "in.mp4", "a prompt", "-o", "in.mp4", "-y"], 6, "is the input itself"),
    (["edit", "in.mp4", "--from", "ball", "--to", "cube", "-o", "none/out.mp4"], 6, "does not exist; make it first"),
    ([*TRANSLATE, "--steps", "0"], 2, "steps is 0"),
    ([*TRANSLATE, "--frames", "3:1"], 2, "empty span"),
    ([*PLAN, "--memory", "much"], 2, "such as 8G"),
    (["translate", "in.mp4", "a (fox:9)", "-o", "out.mp4"], 2, "gives a weight of 9"),
    ([*EDIT, "--negative", "a (fox:9)"], 2, "gives a weight of 9"),
    ([*TRANSLATE, "--mask", "none.png"], 3, "none.png does not exist"),
    ([*EDIT, "--mask", "text.mp4"], 3, "is no video"),
    ([*EDIT, "--direction", "none.safetensors:2"], 3, "none.safetensors is no file"),
    ([*TRANSLATE, "--model", "nobody"], 4, "no model at 'nobody'"),
    ([*EDIT, "--model", "text.mp4"], 4, "text.mp4 is"),
    ([*PLAN, "--model", "./none"], 4, "no model at './none'"),
    ([*TRANSLATE, "--captioner", "./none"], 4, "no model at './none'"),
    ([*TRANSLATE, "--model", "nobody", "--explain"], 4, "no model at 'nobody'"),
    ([*PLAN, "--device", "gpu"], 5, "device is 'gpu'"),
)


@pytest.fixture(autouse=True)
def files(nobody: None) -> None:
    for name, content in {"in.mp4": START_OF_VIDEO, "taken.mp4": b"precious", "text.mp4": b"words\n" * 99}.items():
        Path(name).write_bytes(content)
    Path("empty.mp4").touch()
    Path("still.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def test_what_is_wrong_is_said_before_any_library_loads() -> None:
    before = sorted(os.listdir())
    words = json.dumps([asked for asked, _, _ in WRONG])
    done = subprocess.run([sys.executable, "-c", PROGRAM, words], capture_output=True, text=True, check=True)
    for (asked, code, _), (status, loaded) in zip(WRONG, json.loads(done.stdout), strict=True):
        assert (status, loaded) == (code, []), asked
    said = [line for line in done.stderr.splitlines() if "Usage" not in line and line[:3] not in ("", "Try")]
    for line, (asked, _, complaint) in zip(said, WRONG, strict=True):
        assert complaint in line, asked
    assert sorted(os.listdir()) == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux: nobody can create files in /proc")
def test_a_folder_that_cannot_be_written_to_is_refused_early() -> None:
    with pytest.raises(OutputError, match="cannot be written to"):
        check_run(Path("in.mp4"), "a prompt", Path("/proc/self/out.mp4"), Options())


NOWHERE = "/proc/self/"


@pytest.mark.skipif(not Path(NOWHERE).is_dir(), reason="needs Linux: nobody can create files in /proc")
@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "features", "still.png", "-o", f"{NOWHERE}s.png"],
        ["inspect", "features", "still.png", "-o", "s.png", "--raw", f"{NOWHERE}s.safetensors"],
        ["direction", "build", "--from", "hen", "--to", "fox", "-o", f"{NOWHERE}d.safetensors"],
        ["preview", "still.png", "a fox", "-o", "s.png", "--cells", f"{NOWHERE}cells"],
        ["distill", "still.png", "a fox", "-o", f"{NOWHERE}student"],
        ["distill", "still.png", "a fox", "-o", "student", "--work", f"{NOWHERE}a/b"],
        ["bench", "-o", f"{NOWHERE}a/b"],
        ["measure", "world", "-o", f"{NOWHERE}a/b"],
        ["measure", "edits", "-o", "taken.mp4/a"],
        ["batch", "jobs.toml", "--journal", f"{NOWHERE}j.jsonl"],
        [*TRANSLATE, "--preview-every", "2", "--preview-file", f"{NOWHERE}p.png"],
    ],
)
def test_no_command_begins_what_it_cannot_write(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("jobs.toml").write_text('prompt = "p"\n[[rows]]\ninput = "in.mp4"\noutput = "out.mp4"\n')
    before = sorted(os.listdir())
    assert main([*words, "--progress", "none"]) == 6
    said = capsys.readouterr().err
    assert "its folder cannot be written to" in said or "taken.mp4 is no folder" in said
    assert sorted(os.listdir()) == before


def test_a_direction_has_the_extension_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["direction", "build", "--from", "hen", "--to", "fox", "-o", "d.txt"]) == 6
    assert "d.txt is no name of a direction; accepted: .safetensors" in capsys.readouterr().err


def test_what_is_right_passes() -> None:
    directions = (("text.mp4", 1.0),)
    check_run(
        Path("in.mp4"),
        "a prompt",
        Path("out.mp4"),
        Options.from_flat({"mask": Path("still.png"), "directions": directions}),
    )
    check_run(Path("in.mp4"), "a prompt", Path("taken.mp4"), Options(overwrite=True))
    check_run(None, "a prompt", Path("out.png"), Options.from_flat({"generate": True, "source_prompt": "a ball"}))
    check_input(Path())
    check_options(Options(model="somebody/something"))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:01", "CPU", "", "meta", "cuda:99999"])
def test_a_device_that_no_machine_has_is_refused_early(name: str) -> None:
    with pytest.raises(DeviceError, match="accepted: auto, cpu"):
        check_options(Options.from_flat({"device": name}))


def test_a_folder_that_is_no_checkpoint_is_refused_early() -> None:
    Path("model").mkdir()
    with pytest.raises(ModelError, match="model is no model"):
        check_options(Options(model="./model"))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([*TRANSLATE, "--method", "pix2pix-zero"], "pix2pix-zero steers; use --method pnp, sdedit or flowedit"),
        (EDIT, "pix2pix-zero steers"),
        ([*EDIT, "--method", "flowedit", "--keep-background"], "keep_background looks for the word in; use --mask"),
        ([*TRANSLATE, "--lora", "none.safetensors"], "LoRAs go with 1.x, 2.x and XL alone"),
        ([*TRANSLATE, "--embedding", "none.safetensors"], "textual inversions go with"),
        ([*TRANSLATE, "--vae", "none"], "other autoencoders go with"),
        (
            [*TRANSLATE, "--control", "canny", "--controlnet", "none"],
            "ControlNets go with Stable Diffusion 1.x and 2.x",
        ),
        ([*PLAN, "--method", "pix2pix-zero"], "pix2pix-zero steers"),
        ([*PLAN, "--from", "ball", "--to", "cube"], "pix2pix-zero steers"),
        ([*PLAN, "--lora", "none.safetensors"], "LoRAs go with"),
    ],
)
def test_what_a_model_of_joint_attention_cannot_do_is_refused_early(
    given: list[str], complaint: str, joint_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the input, which breaks off behind its header, is decoded: that would be exit 3."""
    assert main([*given, "--model", str(joint_checkpoint)]) == 4
    assert complaint in capsys.readouterr().err and not Path("out.mp4").exists()


def test_a_direction_that_is_too_large_is_refused_early() -> None:
    with Path("large.pt").open("wb") as file:
        file.truncate(257 << 20)  # no disk is used
    with pytest.raises(InputError, match="257 MiB"):
        check_options(Options.from_flat({"directions": (("large.pt", 1.0),)}))
