"""Checkpoints that were distilled to draw in few steps: known by their scheduler, and asked as they want it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    EulerDiscreteScheduler,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    PNDMScheduler,
    UNet2DConditionModel,
)
from safetensors.torch import save_file

from pnpvideo.backends.checkpoint import describe
from pnpvideo.backends.controlnet import ControlNetwork
from pnpvideo.backends.few_step import as_few_step, few_step_hint
from pnpvideo.backends.load import load
from pnpvideo.backends.stable_diffusion import StableDiffusion, embedded
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.edits.control import ControlResiduals
from pnpvideo.errors import OptionError
from pnpvideo.events import Event, Notice
from pnpvideo.injection import Lanes, Moment, injected
from pnpvideo.pipeline import translate
from pnpvideo.settings.effective import effective
from pnpvideo.settings.options import LCM as LCM_KIND
from pnpvideo.settings.options import TURBO as TURBO_KIND
from pnpvideo.settings.options import Customization, Options, Runtime
from tests.controlnets import new_controlnet

LCM = {"_class_name": "LCMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
TURBO = {**LCM, "_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}


@pytest.fixture
def with_scheduler(checkpoint: Path, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """A copy of the checkpoint with a scheduler of this config."""

    def make(config: dict[str, Any]) -> Path:
        folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
        return folder

    return make


@pytest.mark.parametrize(
    ("config", "few"),
    [
        (LCM, True),
        (TURBO, True),
        ({**TURBO, "timestep_spacing": "leading"}, False),
        ({**TURBO, "rescale_betas_zero_snr": True}, False),
        ({**TURBO, "_class_name": "DDIMScheduler"}, False),
    ],
)
def test_a_few_step_checkpoint_is_known_by_its_scheduler(
    config: dict[str, Any], few: bool, with_scheduler: Callable[[dict[str, Any]], Path]
) -> None:
    backend = StableDiffusion(str(with_scheduler(config)), torch.device("cpu"), torch.float32)
    known = effective(Options(), backend).sampling
    assert backend.few_step == few
    expected = (4, "ddim", "checkpoint", 1.0, 2) if few else (12, "2m", "karras", 7.5, 0)
    found = known.steps, known.solver, known.spacing, known.guidance, known.inversion_rounds
    assert found == expected


@pytest.mark.parametrize("distilled", [LCM_KIND, TURBO_KIND])
@pytest.mark.parametrize("extra", [{}, {"set_alpha_to_one": False}])
@pytest.mark.parametrize("base", [PNDMScheduler, EulerDiscreteScheduler])
def test_another_scheduler_ends_as_diffusers_exchanges_it(base: Any, extra: dict[str, bool], distilled: str) -> None:
    """A key that the base's class does not know is known to LCM's again, and not to Euler's."""
    config = {**LCM, "_class_name": base.__name__, **extra}
    wanted = {LCM_KIND: LCMScheduler, TURBO_KIND: EulerDiscreteScheduler}[distilled]
    theirs = wanted.from_config(base.from_config(config).config)
    noise = float(1 - theirs.final_alpha_cumprod) ** 0.5 if distilled == LCM_KIND else float(theirs.sigmas[-1])
    assert schedule_from_config(as_few_step(config, distilled), 4).noises[0] == pytest.approx(noise, abs=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 50])
def test_a_consistency_models_timesteps_are_those_of_diffusers(steps: int) -> None:
    scheduler = LCMScheduler.from_config(LCM)
    scheduler.set_timesteps(steps)
    assert schedule_from_config(LCM, steps).timesteps == tuple(reversed(scheduler.timesteps.tolist()))
    with pytest.raises(OptionError, match=r"steps is 51.*1 to 50"):
        schedule_from_config(LCM, 51)


@pytest.mark.parametrize("channels", [256, 7])
def test_the_guidance_that_is_told_is_that_of_diffusers(channels: int) -> None:
    told = LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor([7.5]), channels)
    assert torch.allclose(embedded(8.5, channels), told, atol=2e-3)  # of sines of thousands, in fp32


def test_a_model_that_wants_to_be_told_its_guidance_is(with_scheduler: Callable[[dict[str, Any]], Path]) -> None:
    folder = with_scheduler(LCM)
    config = json.loads((folder / "unet" / "config.json").read_text())
    torch.manual_seed(0)
    network = UNet2DConditionModel.from_config({**config, "time_cond_proj_dim": 8})
    network.save_pretrained(folder / "unet")
    backend = StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    x, words = torch.randn((2, 4, 8, 8)), backend.embed("a hen").batch(2)
    expected = network(x, 19, words.tokens, timestep_cond=embedded(8.5, 8).expand(2, -1)).sample
    untold = network(x, 19, words.tokens).sample
    with torch.no_grad():
        assert torch.allclose(backend.predict(x, 19, words), expected, atol=1e-6)
    assert not torch.allclose(expected, untold, atol=1e-4)

    half = StableDiffusion(str(folder), torch.device("cpu"), torch.bfloat16)
    upcast = half.upcast()
    assert upcast is not None
    with torch.no_grad():
        assert torch.allclose(half.predict(x, 19, words), expected, atol=0.1)
        with upcast:  # as after an overflow
            assert torch.allclose(half.predict(x, 19, words), expected, atol=0.05)


def test_a_controlnet_steers_a_model_that_reads_its_guidance(with_scheduler: Callable[[dict[str, Any]], Path]) -> None:
    """The ControlNet itself was trained without that input."""
    folder = with_scheduler(LCM)
    config = json.loads((folder / "unet" / "config.json").read_text())
    UNet2DConditionModel.from_config({**config, "time_cond_proj_dim": 8}).save_pretrained(folder / "unet")
    backend = StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    net = ControlNetwork(new_controlnet(UNet2DConditionModel.from_config(config)), "")
    steering = ControlResiduals(net, torch.randint(256, (1, 64, 64, 3), dtype=torch.uint8))
    x, words = torch.randn((1, 4, 8, 8)), backend.embed("a hen").batch()
    moment, lanes = Moment(0, 4, 19), Lanes(("positive",), (0,))
    with torch.no_grad(), injected(backend.network, [steering]) as session, session.during(moment, lanes):
        steered = backend.predict(x, 19, words)
    assert not torch.allclose(steered, backend.predict(x, 19, words), atol=1e-6)


def test_a_clip_in_few_steps(
    with_scheduler: Callable[[dict[str, Any]], Path],
    options: Callable[..., Options],
    clip_of: Callable[..., Path],
    calls: list[int],
    tmp_path: Path,
) -> None:
    """Four steps, each corrected twice on the way up, and one lane of words on the way down."""
    asked = options(model=str(with_scheduler(TURBO)), steps=None, coherence="none", attention_until=0.0)
    result = translate(clip_of(2), "a hen", tmp_path / "out.mp4", asked)
    assert sum(calls) == 2 * (4 * 3 + 4 + 3)  # the source goes along at three, for its features
    assert result.report["frames"] == 2


@pytest.mark.parametrize(("kind", "timesteps"), [("lcm", (259, 499, 759, 999)), ("turbo", (249, 499, 749, 999))])
def test_the_user_says_that_a_model_is_distilled(kind: str, timesteps: tuple[int, ...], checkpoint: Path) -> None:
    """As of a LoRA or of a turbo in a single file, which no tensor tells from others."""
    changes = Customization(few_step=kind)
    backend = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32, customization=changes)
    known = effective(Options(), backend).sampling
    assert (known.steps, known.solver, known.spacing, known.guidance) == (4, "ddim", "checkpoint", 1.0)
    assert backend.few_step and backend.schedule(4).timesteps == timesteps
    described = describe(str(checkpoint), distilled=kind)
    assert described.few_step and described.card.recommended == backend.card.recommended
    own = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)
    assert not own.few_step and own.fingerprint != backend.fingerprint


def test_a_distilled_model_that_starts_from_pure_noise_is_one_too(with_scheduler: Callable[..., Path]) -> None:
    folder = with_scheduler({**TURBO, "_class_name": "DDIMScheduler", "rescale_betas_zero_snr": True})
    changes = Customization(few_step="turbo")
    assert StableDiffusion(str(folder), torch.device("cpu"), torch.float32, customization=changes).few_step


@pytest.mark.parametrize(
    ("name", "metadata", "kind"),
    [
        ("lcm-lora-sdv1-5", {}, "lcm"),
        ("DMD2_sdxl_4step", {}, "lcm"),
        ("sdxl_lightning_4step", {}, "turbo"),
        ("Hyper-SD15-8steps", {}, "turbo"),
        ("mine", {"modelspec.title": "DreamShaper Turbo"}, "turbo"),
        ("mine", {"ss_output_name": "my_lcm_v2"}, "lcm"),
        ("hyperreal-ink", {}, None),
        ("mine", {"modelspec.title": "Ink"}, None),
    ],
)
def test_a_name_is_a_hint_and_no_more(name: str, metadata: dict[str, str], kind: str | None, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata)
    hint = few_step_hint(path)
    assert (hint is None) == (kind is None) and (hint is None or hint.endswith(f"use --few-step {kind}"))


def test_a_run_with_such_a_lora_is_advised_once_unless_the_user_has_said(checkpoint: Path, tmp_path: Path) -> None:
    path, layer = tmp_path / "lcm.safetensors", "lora_unet_mid_block_attentions_0_proj_in"
    width = UNet2DConditionModel.load_config(checkpoint / "unet")["block_out_channels"][-1]
    save_file(
        {f"{layer}.lora_down.weight": torch.zeros(1, width), f"{layer}.lora_up.weight": torch.zeros(width, 1)}, path
    )
    said: list[Event] = []
    for kind in (None, "lcm"):
        changes = Customization(lora=((str(path), 1.0),), few_step=kind)
        backend = load(str(checkpoint), Runtime(device="cpu"), said.append, changes)
        assert backend.few_step == (kind is not None)
    assert [event.message for event in said if isinstance(event, Notice)] == [few_step_hint(path)]
