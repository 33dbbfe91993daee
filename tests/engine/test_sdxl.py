"""The whole engine on Stable Diffusion XL's topology: every method with every coherence, plans, inspections."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pnpvideo.cli.main import main

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, State
from pnpvideo.engine.estimate import Estimate, Size
from pnpvideo.engine.plan import plan
from pnpvideo.methods.registry import METHODS
from pnpvideo.pipeline import translate
from pnpvideo.settings.effective import effective
from pnpvideo.settings.options import Options
from pnpvideo.store import fingerprint
from pnpvideo.translator import Translator

Clips = Callable[..., Path]
MakeOptions = Callable[..., Options]
FRAMES = np.random.default_rng(0).integers(60, 200, (3, 32, 40, 3), np.uint8)


@pytest.fixture
def xl_options(options: MakeOptions, xl_checkpoint: Path) -> MakeOptions:
    return lambda **given: options(model=str(xl_checkpoint), **given)


def drawn(backend: StableDiffusion, options: Options, prompt: str = "a fox") -> np.ndarray:
    groups: Any = {name: getattr(options, name) for name in ("method", "coherence", "prompts", "sampling", "runtime")}
    return Translator(backend, options.runtime).translate_frames(FRAMES, prompt, **groups)


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_runs_with_every_coherence(
    method: str, xl_backend: StableDiffusion, xl_options: MakeOptions
) -> None:
    before = dict(xl_backend.network.attn_processors)
    results = [drawn(xl_backend, xl_options(method=method, coherence=name)) for name in COHERENCES]
    assert all(not np.array_equal(result, FRAMES) for result in results)
    after = xl_backend.network.attn_processors
    assert after.keys() == before.keys() and all(after[name] is processor for name, processor in before.items())
    assert not any(module._forward_hooks for module in xl_backend.network.modules())


def test_no_injection_is_plain_sampling(xl_backend: StableDiffusion, xl_options: MakeOptions) -> None:
    """Up to the rounding of pixels; the batches of the two computations differ."""
    usual = {"coherence": "none", "solver": "ddim", "spacing": "checkpoint", "source_prompt": "a hen"}
    none = xl_options(**usual, feature_until=0.0, attention_until=0.0)
    injected = xl_options(**usual, feature_until=1.0, attention_until=1.0)
    guidance, steps = effective_guidance(none), 2
    with torch.no_grad():
        schedule = xl_backend.schedule(steps)
        x = xl_backend.encode(FRAMES)
        hen, fox, empty = (xl_backend.embed(text) for text in ("a hen", "a fox", ""))

        def asked(text: Any) -> Callable[[torch.Tensor, float], torch.Tensor]:
            return lambda x, level: xl_backend.predict(x, schedule.timestep(level), text.batch(len(x)))

        *_, noisy = invert(asked(hen), State(x, 0), schedule, DDIM())

        def guided(x: torch.Tensor, level: int) -> tuple[torch.Tensor, torch.Tensor]:
            low = asked(empty)(x, level)
            return x, low + guidance * (asked(fox)(x, level) - low)

        *_, last = sample(guided, noisy, schedule, DDIM())
        expected = xl_backend.decode(last.x)
    found = drawn(xl_backend, none)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert not np.array_equal(drawn(xl_backend, injected), found)


def effective_guidance(options: Options) -> float:
    backend = StableDiffusion(options.model, torch.device("cpu"), torch.float32)
    guidance = effective(options, backend).sampling.guidance
    assert guidance is not None
    return guidance


def test_inversion_and_back(xl_backend: StableDiffusion) -> None:
    """A fifth of the way up, where the random network is smooth enough for the corrections to converge."""
    clean = torch.randn((1, 4, 4, 5), generator=torch.Generator().manual_seed(0))
    words, schedule = xl_backend.embed("a hen").batch(), xl_backend.schedule(50)

    def predict(x: torch.Tensor, level: float) -> torch.Tensor:
        return xl_backend.predict(x, schedule.timestep(level), words)

    def error(rounds: int) -> float:
        *_, noisy = islice(invert(predict, State(clean, 0), schedule, DDIM(), rounds), 10)
        *_, back = sample(lambda x, level: (x, predict(x, level)), noisy, schedule, DDIM())
        assert (noisy.level, back.level) == (10, 0)
        return float((back.x - clean).abs().max())

    with torch.no_grad():
        plain, corrected = error(0), error(4)
    assert corrected < 1e-2 and corrected < plain / 10


def test_a_plan_counts_what_a_run_does(
    clip_of: Clips, xl_options: MakeOptions, calls: list[int], tmp_path: Path
) -> None:
    source, chosen = clip_of(5), xl_options(keyframe_every=2)
    said = plan(source, chosen)
    calls.clear()
    translate(source, "a fox", tmp_path / "out.mp4", chosen)
    assert sum(calls) == said.evaluations and said.memory_bytes > 0


def test_memory_counts_both_text_encoders(xl_backend: StableDiffusion, xl_options: MakeOptions) -> None:
    held = xl_backend.footprint(256, 320)
    parts = (xl_backend.network, xl_backend.vae, *xl_backend.text.encoders.values())
    assert len(parts) == 4
    assert held.weights == sum(value.nbytes for part in parts for value in part.parameters())
    assert Estimate.of(xl_backend, xl_options()).memory(Size(3), held) > held.weights


def test_what_is_stored_belongs_to_the_pooled_text_too(xl_backend: StableDiffusion) -> None:
    one = xl_backend.embed("a fox")
    assert one.pooled is not None
    other = type(one)(one.tokens, one.pooled + 1)
    assert fingerprint(one) != fingerprint(other) and not one.equals(other)


COMMANDS = {
    "edit": ["edit", "{clip}", "--from", "hen", "--to", "fox", "--keep-background", "--source-prompt", "a hen"],
    "preview": ["preview", "{clip}", "a fox", "--pictures", "1", "--source-prompt", "a hen"],
    "words": ["inspect", "words", "{clip}", "--source-prompt", "a hen"],
    "features": ["inspect", "features", "{clip}", "--source-prompt", "a hen"],
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_commands_work_on_it(name: str, clip_of: Clips, xl_checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / ("out.mp4" if name == "edit" else "out.png")
    arguments = [part.replace("{clip}", str(clip_of(2))) for part in COMMANDS[name]]
    usual = ["-o", str(output), "--model", str(xl_checkpoint), "--size", "64", "--steps", "2", "--device", "cpu", "-q"]
    assert main([*arguments, *usual, "--store", str(tmp_path / "store")]) == 0
    assert output.stat().st_size > 0
