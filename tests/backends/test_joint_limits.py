"""What a model of joint attention refuses: by its folder beforehand, and of a backend when a run begins."""

from pathlib import Path
from typing import Any

import pytest

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.backends.joint_limits import check_joint_options
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.engine.plan import plan
from pnpvideo.engine.run import Run
from pnpvideo.errors import ModelError, NoMatchingSite
from pnpvideo.events import ignore
from pnpvideo.methods.registry import METHODS
from pnpvideo.settings.options import Options
from pnpvideo.store import Store

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"method": "pix2pix-zero"}, "the method pix2pix-zero steers; use --method pnp, sdedit or flowedit"),
    ({"keep_background": True, "change": ("a", "b")}, "keep_background looks for the word in; use --mask"),
]


@pytest.mark.parametrize(("given", "match"), REFUSED)
def test_cross_attention_is_missed_before_anything_is_done(
    given: dict[str, Any], match: str, joint_backend: StableDiffusion3, backend: StableDiffusion, tmp_path: Path
) -> None:
    options = Options.from_flat(given)
    for model in (joint_backend, FakeBackend({})):
        with pytest.raises(NoMatchingSite, match=match):
            Run.of(model, options, Store(tmp_path), ignore)
    Run.of(backend, options, Store(tmp_path), ignore)
    with pytest.raises(NoMatchingSite, match=match):
        plan(Path(__file__).parents[2] / "samples" / "ball.mp4", options, backend=joint_backend)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        *REFUSED,
        ({"lora": (("a.safetensors", 1.0),)}, "LoRAs go with 1.x, 2.x and XL alone: leave them out"),
        ({"few_step": "lcm"}, "few-step distillations go with"),
        ({"prediction": "epsilon"}, "other predictions go with"),
        ({"control": (("canny", 1.0),), "controlnet": ("a",)}, "a: ControlNets go with"),
    ],
)
def test_a_folder_tells_without_its_weights(
    given: dict[str, Any], match: str, joint_checkpoint: Path, checkpoint: Path
) -> None:
    options = Options.from_flat(given)
    with pytest.raises(ModelError, match=match):
        check_joint_options(str(joint_checkpoint), options)
    check_joint_options(str(checkpoint), options)
    check_joint_options("somebody/something", options)


def test_what_runs_is_not_refused(joint_checkpoint: Path) -> None:
    for method in set(METHODS) - {"pix2pix-zero"}:
        check_joint_options(str(joint_checkpoint), Options.from_flat({"method": method, "mask": Path("mask.png")}))
