"""The reference implementation of Plug-and-Play and TokenFlow, on a small random UNet.

tests/engine/test_denoiser.py compares the engine with it.
"""

import pytest
import torch
from diffusers import UNet2DConditionModel

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.injection import Conditioning
from pnpvideo.measure.reference import ReferencePipeline
from pnpvideo.miniature.recipe.denoiser import new_scheduler, new_unet

STEPS, FRAMES, SIDE = 2, 3, 8


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    network = new_unet((8, 8, 16, 16))
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return schedule_from_config(dict(new_scheduler().config), STEPS)


def latents(unet: UNet2DConditionModel, count: int = FRAMES) -> torch.Tensor:
    return torch.randn(count, unet.config.in_channels, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def words(unet: UNet2DConditionModel) -> list[Conditioning]:
    draw = torch.Generator().manual_seed(2)
    return [Conditioning(torch.randn(4, unet.config.cross_attention_dim, generator=draw)) for _ in range(3)]


def sample(pipeline: ReferencePipeline, states: list[torch.Tensor], schedule: Schedule, injected: int) -> torch.Tensor:
    keyframes = [() if pipeline.kind == "none" else (0, 2)] * STEPS
    return pipeline.sample(states, schedule, words(pipeline.network), 2.0, injected, injected, keyframes)


def test_inversion_and_reconstruction_are_inverse_where_the_prediction_is_constant(schedule: Schedule) -> None:
    network = new_unet((8, 8, 16, 16)).eval()
    torch.nn.init.constant_(network.conv_out.bias, 0.3)
    pipeline, source = ReferencePipeline(network, "none"), words(network)[0]
    states = pipeline.invert(latents(network), schedule, source)
    assert len(states) == STEPS + 1 and torch.equal(states[0], latents(network))
    back = pipeline.reconstruct(states[-1], schedule, source)
    assert torch.allclose(back, states[0], atol=1e-4) and not torch.allclose(states[-1], states[0], atol=0.1)
    assert pipeline.evaluations == 2 * STEPS * FRAMES


def test_without_injection_each_frame_is_sampled_alone(unet: UNet2DConditionModel, schedule: Schedule) -> None:
    states = [latents(unet)] * (STEPS + 1)
    together = sample(ReferencePipeline(unet, "none", batch=2), states, schedule, 0)
    alone = [
        sample(ReferencePipeline(unet, "none"), [x[n : n + 1] for x in states], schedule, 0) for n in range(FRAMES)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


@pytest.mark.parametrize("kind", ["none", "joint", "flow"])
def test_injection_changes_the_result_and_leaves_the_network_as_it_was(
    kind: str, unet: UNet2DConditionModel, schedule: Schedule
) -> None:
    x, source = latents(unet), words(unet)[0]
    before = unet(x, 500, source.batch(FRAMES).tokens).sample
    pipeline = ReferencePipeline(unet, kind)
    states = pipeline.invert(x, schedule, source)
    free, held = (sample(pipeline, states, schedule, steps) for steps in (0, STEPS))
    assert free.shape == x.shape and not torch.allclose(free, held, atol=1e-3)
    assert torch.equal(before, unet(x, 500, source.batch(FRAMES).tokens).sample)


def test_equal_frames_stay_equal_under_shared_keyframes(unet: UNet2DConditionModel, schedule: Schedule) -> None:
    states = [latents(unet, 1).expand(FRAMES, -1, -1, -1)] * (STEPS + 1)
    for kind in ("joint", "flow"):
        result = sample(ReferencePipeline(unet, kind), states, schedule, STEPS)
        assert torch.allclose(result[:1].expand_as(result), result, atol=1e-4)
