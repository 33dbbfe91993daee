"""Cross-attention guidance against its equations, written plainly, and its identities."""

from copy import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, State
from pnpvideo.diffusion.trajectory import RecordedTrajectory
from pnpvideo.edits.cross_attention import CrossAttentionMaps
from pnpvideo.engine.denoiser import Denoiser
from pnpvideo.errors import OptionError
from pnpvideo.injection import AttentionCall, Conditioning, Site, injected
from pnpvideo.injection.edit import Attend
from pnpvideo.methods.pix2pix_zero import Pix2PixZero
from pnpvideo.store import fingerprint

STEPS, WEIGHT = 3, 500.0
REAL = Guidance(scale=5.0, negative=True, empty_share=0.0)


@pytest.fixture
def states() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn((2, 4, 8, 8), generator=generator) for _ in range(STEPS + 1)]


def words_of(backend: StableDiffusion, positive: str = "a fox", negative: str = "a hen") -> dict[str, Conditioning]:
    texts = {"source": "a hen", "empty": "", "negative": negative, "positive": positive}
    return {lane: backend.embed(text) for lane, text in texts.items()}


def run(
    backend: StableDiffusion,
    states: list[Tensor],
    method: Pix2PixZero,
    guidance: Guidance = REAL,
    words: dict[str, Conditioning] | None = None,
    batch: int = 8,
    kind: str = "none",
) -> Tensor:
    schedule = backend.schedule(STEPS)
    coherence = COHERENCES[kind](**{} if kind == "none" else {"keyframe_every": 2})
    times = [index / 12 for index in range(len(states[0]))]
    edits = coherence.edits(method.edits(backend.sites), backend.sites, times)
    words = words or words_of(backend)
    with injected(backend.network, edits) as session:
        denoise = Denoiser(
            backend, session, schedule, method, coherence, guidance, words, RecordedTrajectory(states), batch=batch
        )
        return [state.x for state in sample(denoise, State(states[STEPS], STEPS), schedule, DDIM())][-1]


class Looking:
    """Replaces each cross-attention by its formula, head by head, and keeps the weights."""

    def __init__(self, network: Any) -> None:
        self.layers = {name: module for name, module in network.named_modules() if name.endswith(".attn2")}
        self.maps: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            layer.forward = lambda hidden, encoder_hidden_states, name=name, **_: self.look(
                name, hidden, encoder_hidden_states
            )

    def look(self, name: str, hidden: Tensor, text: Tensor) -> Tensor:
        layer, heads = self.layers[name], []
        q, k, v = layer.to_q(hidden), layer.to_k(text), layer.to_v(text)
        mixed = []
        for a, b, c in zip(q.chunk(layer.heads, 2), k.chunk(layer.heads, 2), v.chunk(layer.heads, 2), strict=True):
            weights = torch.softmax(a @ b.mT / a.shape[2] ** 0.5, 2)
            heads.append(weights)
            mixed.append(weights @ c)
        self.maps[name] = torch.stack(heads, 1)
        return layer.to_out[0](torch.cat(mixed, 2))

    def undo(self) -> None:
        for layer in self.layers.values():
            del layer.forward


def by_hand(
    backend: StableDiffusion, states: list[Tensor], weight: float, update: str, words: dict[str, Conditioning]
) -> Tensor:
    """Section 3.3 for one frame: a batch of (negative, positive), guidance 5, the caption as the negative prompt.

    In two passes as published: all steps of the reference first, its maps kept, then all steps of the edit.
    """
    schedule, x = backend.schedule(STEPS), states[STEPS]
    watch = Looking(backend.network)

    def ask(latents: Tensor, level: int, *lanes: str) -> tuple[Tensor, dict[str, Tensor]]:
        text = torch.stack([words[lane].tokens for lane in lanes])
        return backend.network(latents, schedule.timestep(level), text).sample, dict(watch.maps)

    try:
        kept = {
            level: ask(states[level].expand(2, -1, -1, -1), level, "negative", "source")[1]
            for level in range(STEPS, 0, -1)
        }
        for level in range(STEPS, 0, -1):
            wanted = kept[level]
            two = x.expand(2, -1, -1, -1).clone().requires_grad_()
            _, maps = ask(two, level, "negative", "positive")
            terms = [((maps[name] - wanted[name].detach()) ** 2).sum() / (2 * maps[name].shape[1]) for name in maps]
            loss = torch.stack(terms).sum()
            (slope,) = torch.autograd.grad(loss, two)
            if update == "code":
                two = (two - weight * slope).detach()
                start = two[:1]
            else:
                two = (two - weight * slope.sum(0, keepdim=True)).detach()
                start = x
            with torch.no_grad():
                output, _ = ask(two, level, "negative", "positive")
            eps = schedule.estimate(two, output, level).eps
            guided = eps[:1] + 5.0 * (eps[1:] - eps[:1])
            x0 = (start - schedule.noises[level] * guided) / schedule.signals[level]
            x = schedule.signals[level - 1] * x0 + schedule.noises[level - 1] * guided
    finally:
        watch.undo()
    return x


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("update", ["paper", "code"])
def test_in_lock_step_the_method_is_the_equations_in_two_passes(
    update: str, prediction: str, backend: StableDiffusion, states: list[Tensor]
) -> None:
    backend = copy(backend)
    backend.scheduler_config = {**backend.scheduler_config, "prediction_type": prediction}
    one, words = [state[:1] for state in states], words_of(backend)
    result = run(backend, one, Pix2PixZero(cross_attention=WEIGHT, update=update), words=words)
    expected = by_hand(backend, one, WEIGHT, update, words)
    scale = float(expected.abs().max())
    assert torch.allclose(result, expected, rtol=0, atol=1e-4 * scale)
    plain = by_hand(backend, one, 0.0, update, words)
    assert (plain - expected).abs().max() > 1e-3 * scale  # the guidance matters


def test_a_batch_of_two_is_two_runs_of_one(either: StableDiffusion, states: list[Tensor]) -> None:
    both, split = (run(either, states, Pix2PixZero(cross_attention=WEIGHT), batch=batch) for batch in (8, 1))
    alone = torch.cat(
        [run(either, [state[n : n + 1] for state in states], Pix2PixZero(cross_attention=WEIGHT)) for n in range(2)]
    )
    limit = 1e-4 * float(both.abs().max())
    assert torch.allclose(both, alone, rtol=0, atol=limit) and torch.allclose(split, alone, rtol=0, atol=limit)


def test_no_weight_is_plain_guidance(either: StableDiffusion, states: list[Tensor]) -> None:
    words = words_of(either)
    plain = by_guidance(either, states, words)
    assert torch.allclose(run(either, states, Pix2PixZero(cross_attention=0.0), words=words), plain, rtol=0, atol=1e-5)


def test_it_ends_after_its_share_of_the_steps(backend: StableDiffusion, states: list[Tensor]) -> None:
    none, one, all_steps = (
        run(backend, states, Pix2PixZero(cross_attention=WEIGHT, cross_attention_until=share))
        for share in (0.0, 1 / STEPS, 1.0)
    )
    assert torch.equal(none, run(backend, states, Pix2PixZero(cross_attention=0.0)))
    assert torch.equal(all_steps, run(backend, states, Pix2PixZero(cross_attention=WEIGHT)))
    assert not torch.equal(one, none) and not torch.equal(one, all_steps)


def by_guidance(backend: StableDiffusion, states: list[Tensor], words: dict[str, Conditioning]) -> Tensor:
    schedule, x = backend.schedule(STEPS), states[STEPS]

    def denoise(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        text = Conditioning.concat([words[lane].batch(len(x)) for lane in ("negative", "positive")])
        low, high = backend.predict(torch.cat((x, x)), schedule.timestep(level), text).chunk(2)
        return x, low + 5.0 * (high - low)

    return [state.x for state in sample(denoise, State(x, STEPS), schedule, DDIM())][-1]


def test_guidance_of_one_still_edits(backend: StableDiffusion, states: list[Tensor]) -> None:
    words = words_of(backend)
    edited = run(backend, states, Pix2PixZero(cross_attention=0.0), Guidance(scale=1.0, negative=True), words)
    same = run(
        backend, states, Pix2PixZero(cross_attention=0.0), Guidance(scale=1.0), {**words, "positive": words["source"]}
    )
    assert (edited - same).abs().max() > 1e-3


@pytest.mark.parametrize("negative", ["", "a hen"])
def test_without_an_edit_the_reference_comes_back(negative: str, either: StableDiffusion) -> None:
    """The trajectory is the reference's own sampling run; the edit adds nothing to its words."""
    words = words_of(either, positive="a hen", negative=negative)
    schedule, x = either.schedule(STEPS), torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(5))
    states = {STEPS: x}

    def denoise(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        parts = {
            lane: either.predict(x, schedule.timestep(level), words[lane].batch()) for lane in ("negative", "positive")
        }
        return x, REAL.combine(parts, STEPS - level, STEPS)

    states |= {state.level: state.x for state in sample(denoise, State(x, STEPS), schedule, DDIM())}
    result = run(
        either, [states[level] for level in range(STEPS + 1)], Pix2PixZero(cross_attention=WEIGHT), words=words
    )
    assert torch.allclose(result, states[0], rtol=0, atol=1e-5 * float(states[0].abs().max()))


def test_recomputing_changes_nothing(
    backend: StableDiffusion, states: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Site] = []
    look = CrossAttentionMaps.__call__

    def counted(self: CrossAttentionMaps, call: AttentionCall, attend: Attend) -> Tensor:
        looked.append(call.site)
        return look(self, call, attend)

    monkeypatch.setattr(CrossAttentionMaps, "__call__", counted)
    kept = run(backend, states, Pix2PixZero(cross_attention=WEIGHT))
    once = len(looked)
    again = run(backend, states, Pix2PixZero(cross_attention=WEIGHT, checkpointing=True))
    assert len(looked) - once == 1.5 * once  # of two passes, that with a gradient is run again, up to the last map
    assert torch.allclose(kept, again, rtol=0, atol=1e-5 * float(kept.abs().max()))
    assert (
        fingerprint(Pix2PixZero())
        == fingerprint(Pix2PixZero(checkpointing=True))
        != fingerprint(Pix2PixZero(cross_attention=2.0))
    )
    assert not backend.network.is_gradient_checkpointing


def test_a_pass_ends_where_all_is_seen(
    backend: StableDiffusion, states: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = [0]
    head = backend.network.conv_out.register_forward_hook(lambda *_: ended.__setitem__(0, ended[0] + 1))
    try:
        short = run(backend, states, Pix2PixZero(cross_attention=WEIGHT, map_pixels=4), batch=1)
        counted = ended[0]
        monkeypatch.setattr(CrossAttentionMaps, "last", property(lambda self: None, lambda self, site: None), False)
        whole = run(backend, states, Pix2PixZero(cross_attention=WEIGHT, map_pixels=4), batch=1)
    finally:
        head.remove()
    assert torch.equal(short, whole)
    frames = len(states[0])
    assert counted == STEPS * (1 + frames)  # the first frame's reference says which map is the last
    assert ended[0] - counted == STEPS * 3 * frames


@pytest.mark.parametrize("kind", ["joint", "flow"])
def test_it_composes_with_coherence(kind: str, backend: StableDiffusion, states: list[Tensor]) -> None:
    before = {name: type(processor) for name, processor in backend.network.attn_processors.items()}
    alone, together = (run(backend, states, Pix2PixZero(cross_attention=WEIGHT), kind=each) for each in ("none", kind))
    assert (alone - together).abs().max() > 1e-4 * float(alone.abs().max())
    assert {name: type(processor) for name, processor in backend.network.attn_processors.items()} == before
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in backend.network.parameters())


def test_only_small_maps_count_where_asked(backend: StableDiffusion, states: list[Tensor]) -> None:
    every, small, none = (
        run(backend, states, Pix2PixZero(cross_attention=WEIGHT, map_pixels=most)) for most in (None, 4, 64)
    )
    assert torch.equal(every, none) and not torch.allclose(every, small)
    with pytest.raises(OptionError, match="map_pixels is 0; accepted is a whole number of at least 1"):
        run(backend, states, Pix2PixZero(cross_attention=WEIGHT, map_pixels=0))


def test_pure_noise_can_be_stepped_from(backend: StableDiffusion, states: list[Tensor]) -> None:
    backend = copy(backend)
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    backend.scheduler_config = {**backend.scheduler_config, **zero}
    assert backend.schedule(STEPS).signals[STEPS] == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(run(backend, states, Pix2PixZero(cross_attention=WEIGHT))).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_the_gradient_neither_vanishes_nor_breaks(
    dtype: torch.dtype, backend: StableDiffusion, checkpoint: Path, states: list[Tensor]
) -> None:
    """Where the network runs in half, loss and maps do not, and the loss is scaled against underflow."""
    half = StableDiffusion(str(checkpoint), torch.device("cpu"), dtype)
    words = words_of(backend)
    full, low = (run(each, states, Pix2PixZero(cross_attention=WEIGHT), words=words) for each in (backend, half))
    plain = run(half, states, Pix2PixZero(cross_attention=0.0), words=words)
    moved, off = (low - plain).abs().mean(), (low - full).abs().mean()
    assert torch.isfinite(low).all() and moved > 3 * off
