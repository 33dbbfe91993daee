"""What is said beforehand, against what was taken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pnpvideo.backends.footprint import Living
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.engine.estimate import Estimate, Size, fit_memory, largest
from pnpvideo.engine.plan import plan
from pnpvideo.errors import OptionError
from pnpvideo.injection import Kind, select
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.store import Store

Clips = Callable[..., Path]
MakeOptions = Callable[..., Options]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"steps": 5, "feature_until": 0.4, "attention_until": 0.2},  # token flow alone reads the source in the end
        {"window": 3, "keyframe_every": 2, "steps": 5, "feature_until": 0.4, "attention_until": 0.2},
        {"window": 3, "keyframe_every": 2, "coherence": "joint"},
        {"coherence": "none", "window": 3},
        {"solver": "ddim", "inversion_rounds": 1},
        {"method": "sdedit", "strength": 0.5, "steps": 4},
        {"negative": "a hen", "steps": 3},
        {"guidance": 1.0},
        {"keep_background": True, "change": ("hen", "fox"), "source_prompt": "a hen"},
        {
            "model": "miniature",
            "size": 128,
            "method": "sdedit",
            "coherence": "none",
        },  # its card asks whether the picture is familiar
        {"model": "miniature", "size": 64, "method": "sdedit", "coherence": "none"},  # not at so small a size
        {"guidance_span": (0.0, 0.5)},
        {"method": "pix2pix-zero", "cross_attention_until": 0.5, "coherence": "none", "negative": "a hen"},
    ],
)
def test_as_many_evaluations_as_were_said(
    given: dict[str, Any], clip_of: Clips, options: MakeOptions, calls: list[int], tmp_path: Path
) -> None:
    source, chosen = clip_of(11, hold=1), options(**given)
    said = plan(source, chosen)
    calls.clear()
    report = translate(source, "a fox", tmp_path / "out.mp4", chosen).report
    assert [report[name] for name in ("shots", "windows", "frames", "drawings")] == [
        *(said.shots, said.windows, said.frames, said.drawings)
    ]
    assert sum(calls) == said.evaluations


@pytest.mark.parametrize(
    ("given", "stages"),
    [
        ({}, {"encode", "invert", "sample", "decode"}),
        ({"method": "sdedit", "strength": 0.5, "coherence": "none"}, {"encode", "sample", "decode"}),
        ({"generate": True, "source_prompt": "a hen"}, {"invert", "sample", "decode"}),
        (
            {"keep_background": True, "change": ("hen", "fox"), "source_prompt": "a hen"},
            {"encode", "invert", "mask", "sample", "decode"},
        ),
    ],
)
def test_a_window_s_work_is_shared_among_its_stages(
    given: dict[str, Any], stages: set[str], backend: StableDiffusion, options: MakeOptions
) -> None:
    estimate = Estimate.of(backend, options(steps=4, **given))
    shares = estimate.shares(Size(1), 0)
    assert {stage for stage, work in shares.work.items() if work} == stages
    assert shares.skipped == (2 if "strength" in given else 0)
    assert shares.done("sample", 4, 4) == pytest.approx(1 - shares.work["decode"] / sum(shares.work.values()))
    assert shares.done("decode", 1, 1) == 1.0
    assert shares.done("sample", shares.skipped, 4) == shares.done("sample", 0, 4), "what is left out is no work"


def test_held_drawings_count_once(clip_of: Clips, options: MakeOptions) -> None:
    ones, twos = plan(clip_of(8), options()), plan(clip_of(8, hold=2), options())
    assert (ones.drawings, twos.drawings, twos.frames) == (8, 4, 8)
    assert 2 * twos.evaluations == ones.evaluations and 2 * twos.disk_bytes == ones.disk_bytes
    assert ones.seconds > 0 and ones.memory_bytes > 0


@pytest.mark.parametrize(("slow_seconds", "asked"), [(60.0, [1, 4]), (0.0, [1])])
def test_a_slow_call_is_timed_once_with_one_frame(
    slow_seconds: float,
    asked: list[int],
    clip_of: Clips,
    options: MakeOptions,
    calls: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pnpvideo.engine.plan.SLOW_SECONDS", slow_seconds)
    assert plan(clip_of(5), options(batch=4)).seconds > 0
    assert calls == asked


@pytest.mark.parametrize(
    "given", [pytest.param({"steps": 20}, marks=pytest.mark.slow), {"method": "sdedit", "strength": 1.0}, {"window": 3}]
)
def test_the_disk_holds_what_was_said_within_a_fifth(
    given: dict[str, Any], clip_of: Clips, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At 256 x 384 pixels, beside which headers and manifests are small; before the run forgets its own state."""
    source, chosen = clip_of(7), options(size=256, **given)
    said = plan(source, chosen)
    monkeypatch.setattr("pnpvideo.engine.shot.ClipTranslator.finish", lambda self: None)
    translate(source, "a fox", tmp_path / "out.mp4", chosen)
    held = sum(info.bytes for info in Store(chosen.runtime.store).list())
    assert held == pytest.approx(said.disk_bytes, rel=0.2)


def test_a_call_holds_what_was_said(backend: StableDiffusion) -> None:
    """Tensors without contents, against the real call with its fused attention, operation by operation."""
    x, words = torch.zeros(2, *backend.latent_shape(256, 384)), backend.embed("").batch(2)
    with torch.no_grad(), Living() as living:
        backend.predict(x, 1, words)
    held = backend.footprint(256, 384)
    assert living.peak == pytest.approx(2 * held.call, rel=0.1)
    outputs: list[int] = []
    attentions = [backend.network.get_submodule(site.name) for site in select(backend.sites, Kind.SELF)]
    hooks = [module.register_forward_hook(lambda *given: outputs.append(given[2].nbytes)) for module in attentions]
    try:
        backend.predict(x[:1], 1, backend.embed("").batch())
    finally:
        for hook in hooks:
            hook.remove()
    assert sum(outputs) == held.tokens


@pytest.mark.parametrize(
    ("given", "small"),
    [({"coherence": "none"}, {"batch": 2}), ({}, {"batch": 1, "window": 8}), ({"coherence": "none"}, {"batch": 8})],
)
def test_memory_is_kept_within_by_a_smaller_batch_then_a_smaller_window(
    given: dict[str, Any], small: dict[str, Any], backend: StableDiffusion, options: MakeOptions
) -> None:
    size, usual = (256, 384), {"batch": 8, "window": 16, "keyframe_every": 4, **given}
    held = backend.footprint(*size)
    wanted = options(**{**usual, **small})
    limit = Estimate.of(backend, wanted).memory(largest(wanted, None), held)
    found = fit_memory(backend, options(**usual, memory=limit), None, size)
    assert Estimate.of(backend, found).memory(largest(found, None), held) <= limit
    assert found.runtime.window == wanted.runtime.window and found.runtime.batch >= wanted.runtime.batch
    assert fit_memory(backend, options(**usual), None, size) == options(**usual)
    with pytest.raises(OptionError, match=r"GiB at the least; a smaller --size"):
        fit_memory(backend, options(memory=1000), None, size)


def test_memory_grows_with_keyframes_and_not_with_the_length(backend: StableDiffusion, options: MakeOptions) -> None:
    held = backend.footprint(256, 384)

    def memory(frames: int, **given: Any) -> int:
        chosen = options(batch=1, keyframe_every=1, window=200, **given)
        return Estimate.of(backend, chosen).memory(Size(frames), held) - held.weights

    assert memory(100) <= 10 * memory(10)
    long, short = (largest(options(), frames) for frames in (100_000, 1_000))
    assert long == short
