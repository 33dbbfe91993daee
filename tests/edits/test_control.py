"""ControlNet's residuals in the network's calls, against diffusers' own pipelines."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, DDIMScheduler, MultiControlNetModel, StableDiffusionControlNetPipeline
from PIL import Image
from torch import Tensor

from pnpvideo.backends.controlnet import ControlNetwork
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.coherence import Coherence
from pnpvideo.coherence.flow import TokenFlow
from pnpvideo.coherence.independent import Independent
from pnpvideo.coherence.joint import JointAttention
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, State
from pnpvideo.diffusion.trajectory import RecordedTrajectory
from pnpvideo.edits.control import ControlResiduals, acts
from pnpvideo.engine.denoiser import Denoiser
from pnpvideo.injection import Lanes, Moment, injected
from pnpvideo.methods.method import Method
from pnpvideo.methods.plug_and_play import PlugAndPlay
from tests.controlnets import new_controlnet

FRAMES, STEPS, SCALE, SIDE = 3, 2, 5.0, 32
ALONE, PLAIN = Independent(), Method()
NOISE = torch.randn(FRAMES, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(0))
PICTURES = np.random.default_rng(0).integers(0, 256, (2, FRAMES, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def nets(backend: StableDiffusion) -> list[ControlNetModel]:
    return [new_controlnet(backend.network, seed) for seed in (1, 2)]


def steer(
    nets: Sequence[ControlNetModel],
    scales: Sequence[float],
    span: tuple[float, float] = (0.0, 1.0),
    pictures: np.ndarray = PICTURES,
) -> list[ControlResiduals]:
    return [
        ControlResiduals(ControlNetwork(net, ""), torch.from_numpy(each), scale, span)
        for net, scale, each in zip(nets, scales, pictures, strict=False)
    ]


def drawn(
    backend: StableDiffusion,
    steering: Sequence[ControlResiduals],
    coherence: Coherence = ALONE,
    method: Method = PLAIN,
    batch: int = 8,
) -> Tensor:
    words = {"source": backend.embed("a hen"), "empty": backend.embed(""), "positive": backend.embed("a fox")}
    times = [index / 12 for index in range(FRAMES)]
    edits = [*coherence.edits(method.edits(backend.sites), backend.sites, times), *steering]
    states = RecordedTrajectory([NOISE] * (STEPS + 1))
    schedule, guidance = backend.schedule(STEPS), Guidance(scale=SCALE)
    with torch.no_grad(), injected(backend.network, edits) as session:
        denoise = Denoiser(backend, session, schedule, method, coherence, guidance, words, states, batch=batch)
        return [state.x for state in sample(denoise, State(NOISE, STEPS), schedule, DDIM())][-1]


def by_diffusers(backend: StableDiffusion, nets: Sequence[ControlNetModel], scales: Sequence[float]) -> Tensor:
    """Each frame by itself, with its own conditions."""
    pipeline = StableDiffusionControlNetPipeline(
        vae=backend.vae,
        text_encoder=backend.text.encoders["text_encoder"],
        tokenizer=backend.text.tokenizer,
        unet=backend.network,
        controlnet=nets[0] if len(nets) == 1 else MultiControlNetModel([*nets]),
        scheduler=DDIMScheduler.from_config(dict(backend.scheduler_config)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    found = []
    for frame in range(FRAMES):
        images = [Image.fromarray(pictures[frame]) for pictures in PICTURES[: len(nets)]]
        made = pipeline(
            "a fox",
            images[0] if len(nets) == 1 else images,
            latents=NOISE[frame : frame + 1],
            num_inference_steps=STEPS,
            guidance_scale=SCALE,
            controlnet_conditioning_scale=scales[0] if len(nets) == 1 else [*scales],
            output_type="latent",
        )
        found.append(made.images)
    return torch.cat(found)


@pytest.mark.parametrize("scales", [(0.8,), (0.8, 0.5)])
def test_plain_sampling_is_diffusers_pipeline(
    scales: tuple[float, ...], backend: StableDiffusion, nets: list[ControlNetModel]
) -> None:
    used = nets[: len(scales)]
    expected, found = by_diffusers(backend, used, scales), drawn(backend, steer(used, scales))
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())
    assert float((drawn(backend, []) - found).abs().max()) > 1e-2  # the control matters


@pytest.mark.parametrize("coherence", [ALONE, JointAttention(keyframe_every=2), TokenFlow(keyframe_every=2)])
@pytest.mark.parametrize("method", [PLAIN, PlugAndPlay(feature_until=0.8, attention_until=0.5)])
def test_the_batch_does_not_matter(
    method: Method, coherence: Coherence, backend: StableDiffusion, nets: list[ControlNetModel]
) -> None:
    one, eight = (drawn(backend, steer(nets, (1.0,)), coherence, method, batch) for batch in (1, 8))
    assert float((one - eight).abs().max()) < 1e-4 * float(eight.abs().max())


def test_each_frame_follows_its_own_condition(backend: StableDiffusion, nets: list[ControlNetModel]) -> None:
    """Without coherence, another condition of one frame changes this frame alone; with it, keyframes have their own."""
    other = PICTURES.copy()
    other[0, 1] = 255 - other[0, 1]
    before, after = (drawn(backend, steer(nets, (1.0,), pictures=each)) for each in (PICTURES, other))
    assert torch.equal(before[[0, 2]], after[[0, 2]]) and not torch.allclose(before[1], after[1], atol=1e-3)
    keyed = JointAttention(keyframe_every=1)
    swapped = PICTURES[:, [2, 1, 0]]
    one, two = (drawn(backend, steer(nets, (1.0,), pictures=each), keyed) for each in (PICTURES, swapped))
    assert not torch.allclose(one[0], two[0], atol=1e-3)


def test_outside_of_its_span_nothing_changes(backend: StableDiffusion, nets: list[ControlNetModel]) -> None:
    plain = drawn(backend, [])
    assert torch.equal(drawn(backend, steer(nets, (1.0,), span=(0.0, 0.2))), plain)  # rounds to no step
    early, late = (drawn(backend, steer(nets, (1.0,), span=span)) for span in ((0.0, 0.5), (0.5, 1.0)))
    assert not torch.allclose(early, plain, atol=1e-3) and not torch.allclose(early, late, atol=1e-3)
    assert [acts((0.25, 0.75), step, 4) for step in range(4)] == [False, True, True, False]


def test_the_network_is_left_as_it_was(backend: StableDiffusion, nets: list[ControlNetModel]) -> None:
    drawn(backend, steer(nets, (1.0,)))
    assert not backend.network._forward_pre_hooks


def test_the_source_is_never_steered(backend: StableDiffusion, nets: list[ControlNetModel]) -> None:
    edit = steer(nets, (1.0,))[0]
    moment = Moment(0, STEPS, 999.0)
    assert not edit.active(moment, Lanes(("source",), (0, 1))) and edit.active(moment, Lanes(("positive",), (0,)))
    assert not edit.needs_source(moment, (0, 1))
