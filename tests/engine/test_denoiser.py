"""The engine against a plain reference of the same equations, and against plain sampling."""

import pytest
import torch
from torch import Tensor

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.coherence import Coherence, Place
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, State
from pnpvideo.diffusion.trajectory import RecordedTrajectory
from pnpvideo.engine.denoiser import Denoiser
from pnpvideo.injection import Conditioning, injected
from pnpvideo.measure.reference import ReferencePipeline
from pnpvideo.methods.plug_and_play import PlugAndPlay

FRAMES, STEPS, SCALE = 5, 3, 6.0


def coherence_of(kind: str) -> Coherence:
    return COHERENCES[kind](**{} if kind == "none" else {"keyframe_every": 3})


def run(backend: StableDiffusion, kind: str, method: PlugAndPlay, batch: int = 8) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    states = [torch.randn((FRAMES, 4, 4, 8), generator=generator) for _ in range(STEPS + 1)]
    words = {"source": backend.embed("a hen"), "empty": backend.embed(""), "positive": backend.embed("a fox")}
    coherence = coherence_of(kind)
    edits = coherence.edits(method.edits(backend.sites), backend.sites, [index / 12 for index in range(FRAMES)])
    schedule, guidance = backend.schedule(STEPS), Guidance(scale=SCALE)
    with injected(backend.network, edits) as session:
        denoise = Denoiser(
            backend, session, schedule, method, coherence, guidance, words, RecordedTrajectory(states), batch=batch
        )
        return [state.x for state in sample(denoise, State(states[STEPS], STEPS), schedule, DDIM())][-1], states


@pytest.mark.parametrize("kind", ["none", "joint", "flow"])
def test_the_engine_is_the_equations(kind: str, either: StableDiffusion) -> None:
    result, states = run(either, kind, PlugAndPlay(feature_until=0.67, attention_until=0.34))
    keyframes = [coherence_of(kind).keyframes(FRAMES, Place(0), step) for step in range(STEPS)]
    words = [either.embed(text) for text in ("a hen", "", "a fox")]
    plain = ReferencePipeline(either.network, kind, batch=3)
    expected = plain.sample(states, either.schedule(STEPS), words, SCALE, 2, 1, keyframes)
    assert plain.evaluations == STEPS * 3 * (FRAMES + len(keyframes[0]))
    assert torch.allclose(result, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    free, _ = run(either, kind, PlugAndPlay(feature_until=0.0, attention_until=0.0))
    assert (free - result).abs().max() > 1e-2 * float(expected.abs().max())  # the injection matters


@pytest.mark.parametrize("kind", ["none", "joint", "flow"])
def test_the_batch_does_not_matter(kind: str, either: StableDiffusion) -> None:
    one, eight = (run(either, kind, PlugAndPlay(feature_until=0.8, attention_until=0.5), batch)[0] for batch in (1, 8))
    assert torch.allclose(one, eight, rtol=0, atol=1e-4 * float(eight.abs().max()))


def test_fresh_noise_replaces_its_share_of_the_start(backend: StableDiffusion) -> None:
    generator = torch.Generator().manual_seed(4)
    schedule = backend.schedule(STEPS)
    states = [torch.randn((FRAMES, 4, 4, 8), generator=generator) for _ in range(STEPS + 1)]
    noise = torch.randn((1, 4, 4, 8), generator=generator)
    none, some, all_of_it = (
        PlugAndPlay(fresh_noise=share).start(RecordedTrajectory(states), schedule, noise)[0]
        for share in (0.0, 0.6, 1.0)
    )
    assert torch.equal(none, states[STEPS])
    assert torch.allclose(some, 0.8 * states[STEPS] + 0.6 * noise)
    assert torch.allclose(all_of_it, noise.expand_as(none))
    shape = (4, 64, 64)
    drawn, fresh = shot_noise(shape, 3, 0), shot_noise(shape, 3, 0, stream=1)
    assert float((0.8 * drawn + 0.6 * fresh).std()) == pytest.approx(1, abs=0.02)  # a generated start is itself drawn


def test_without_injection_it_is_plain_sampling(either: StableDiffusion) -> None:
    result, states = run(either, "none", PlugAndPlay(feature_until=0.0, attention_until=0.0))
    schedule, x = either.schedule(STEPS), states[STEPS]
    words = Conditioning.concat([either.embed(text).batch(FRAMES) for text in ("", "a fox")])
    for level in range(STEPS, 0, -1):
        with torch.no_grad():
            output = either.predict(torch.cat((x, x)), schedule.timestep(level), words)
        empty, positive = output.chunk(2)
        eps = empty + SCALE * (positive - empty)
        x0 = (x - schedule.noises[level] * eps) / schedule.signals[level]
        x = schedule.signals[level - 1] * x0 + schedule.noises[level - 1] * eps
    assert torch.equal(result, x)
