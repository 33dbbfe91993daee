"""ControlNets on the command line: what is wrong is one line with the right exit code, before any model loads."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def still(tmp_path: Path) -> Path:
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--control", "canyn", "--controlnet", "net"], 2, "control is 'canyn'; accepted are canny, tile"),
        (["--control", "pose", "--controlnet", "net"], 2, "a network of its own makes such pictures"),
        (["--control", "canny"], 2, "controlnet not at all"),
        (["--control", "canny:-1", "--controlnet", "net"], 2, "accepted is a number from 0 to 10"),
        (["--control", "canny", "--controlnet", "net", "--control-span", "0:1.2"], 2, "from 0 to 1"),
        (["--control", "canny", "--controlnet", "net"], 4, "net is missing; accepted for --controlnet"),
        (["--control", "none.mp4", "--controlnet", "net"], 3, "none.mp4"),
        (["--control", "canny", "--controlnet", "UNET"], 4, "is the denoising network of a checkpoint alone"),
        (["--preview-vae", "VAE"], 4, "is no tiny autoencoder; accepted for --preview-vae"),
    ],
)
def test_a_mistake_is_one_line(
    flags: list[str], code: int, says: str, still: Path, checkpoint: Path, tmp_path: Path, capsys: Output
) -> None:
    parts = {"UNET": str(checkpoint / "unet"), "VAE": str(checkpoint / "vae")}
    named = [parts.get(flag, flag) for flag in flags]
    found = main(
        ["translate", str(still), "a fox", "-o", str(tmp_path / "out.png"), "--model", str(checkpoint), *named]
    )
    said = capsys.readouterr().err.strip().splitlines()
    assert found == code and says in said[-1], said
    assert len(said) == 1 or said[0].startswith("Usage")
    assert not (tmp_path / "out.png").exists()
