"""Plug-and-Play from below pure noise: as written plainly, with the network calls that were said beforehand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.coherence.coherence import Place
from pnpvideo.coherence.independent import Independent
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.engine.inversion import source_trajectory
from pnpvideo.engine.plan import plan
from pnpvideo.engine.run import Run, Window
from pnpvideo.engine.sampling import sample_window
from pnpvideo.events import Event, Notice, Progress, ignore
from pnpvideo.injection import Conditioning
from pnpvideo.methods.method import Method
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options, Sampling
from pnpvideo.store import Store
from pnpvideo.words.script import Script
from tests.injection.test_joint_attention import Plain


def window_of(run: Run, shape: tuple[int, int, int], side: int) -> Window:
    words = {"source": run.backend.embed("a hen"), "positive": run.backend.embed("a fox")}
    words["empty"] = run.backend.embed("")
    return Window(
        place=Place(0, 0),
        pixels=np.random.default_rng(0).integers(0, 255, (2, side, side, 3), np.uint8),
        times=(0.0, 1.0),
        script=Script("a hen", "a fox", "", words),
        guidance=run.guidance(False),
        noise=shot_noise(shape, 0, 0),
    )


def sampled(run: Run, window: Window) -> Tensor:
    edits = run.options.coherence.edits(run.options.method.edits(run.backend.sites), run.backend.sites, window.times)
    trajectory, key = source_trajectory(run, window, None, "key")
    return sample_window(run, window, trajectory, edits, None, key)[0]


@contextmanager
def plainly(network: Any, attention: Plain, features: Tensor | None = None) -> Iterator[list[Tensor]]:
    """The second block's attention processor, and its features; yields those that the network computes there."""
    before: dict[str, Any] = dict(network.attn_processors)
    network.set_attn_processor({**before, "transformer_blocks.1.attn.processor": attention})
    seen: list[Tensor] = []

    def hear(module: Any, arguments: Any, output: Tensor) -> Tensor | None:
        seen.append(output)
        return features

    hook = network.transformer_blocks[1].ff.register_forward_hook(hear)
    yield seen
    hook.remove()
    network.set_attn_processor(before)


def test_half_way_is_a_plain_loop_over_half_of_the_levels(joint_backend: StableDiffusion3, tmp_path: Path) -> None:
    """Of DDIM up three of six levels; down with attention injected in the first step and features in the first two."""
    scale, top = 3.0, 3
    method = PlugAndPlay(inversion_depth=0.5, attention_until=0.34, feature_until=0.67)
    sampling = Sampling(steps=6, guidance=scale, solver="ddim")
    run = Run.of(
        joint_backend, Options(method=method, coherence=Independent(), sampling=sampling), Store(tmp_path), ignore
    )
    window = window_of(run, (16, 4, 4), 32)
    found = sampled(run, window)

    network, schedule = joint_backend.network, joint_backend.schedule(6)
    hen, fox, empty = (joint_backend.embed(text).batch(2) for text in ("a hen", "a fox", ""))

    def velocity(x: Tensor, level: int, text: Conditioning) -> Tensor:
        return joint_backend.predict(x, schedule.timestep(level), text)

    states = [joint_backend.encode(window.pixels)]
    for level in range(top):
        t, to = schedule.noises[level], schedule.noises[level + 1]
        eps = states[-1] + (1 - to) * velocity(states[-1], level + 1, hen)  # as most codes invert, at t_{i+1}
        states.append((1 - to) * (states[-1] - t * eps) / (1 - t) + to * eps)
    x = states[top]
    for step, level in enumerate(range(top, 0, -1)):
        source = Plain()
        with plainly(network, source) as seen:
            velocity(states[level], level, hen)
        with plainly(network, Plain(source) if step < 1 else Plain(), seen[0] if step < 2 else None):
            low = velocity(x, level, empty)
            v = low + scale * (velocity(x, level, fox) - low)
        x = x + (schedule.noises[level - 1] - schedule.noises[level]) * v
    assert torch.allclose(found, x, atol=1e-4)


class Published(PlugAndPlay):
    def levels(self, schedule: Schedule) -> Schedule:
        return schedule


def test_the_whole_depth_is_the_published_method_to_the_bit(backend: StableDiffusion, tmp_path: Path) -> None:
    given: dict[str, float] = {"inversion_depth": 1.0, "fresh_noise": 0.3}
    found = []
    for method in (PlugAndPlay(**given), Published(**given)):
        options = Options(method=method, coherence=Independent(), sampling=Sampling(steps=4))
        run = Run.of(backend, options, Store(tmp_path / type(method).__name__), ignore)
        found.append(sampled(run, window_of(run, (4, 4, 4), 32)))
    assert torch.equal(*found)


class Half(Method):
    def levels(self, schedule: Schedule) -> Schedule:
        return schedule.up_to(schedule.steps // 2)


class CountingBackend(FakeBackend):
    evaluations = 0

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        self.evaluations += len(x)
        return super().predict(x, timestep, context)


@pytest.mark.parametrize("solver", ["ddim", "2m", "rf"])
def test_levels_that_a_method_leaves_out_are_neither_inverted_nor_stored_nor_sampled(
    solver: str, tmp_path: Path
) -> None:
    events: list[Event] = []
    evaluated = {}
    for method in (Method(), Half()):
        backend = CountingBackend({"a hen": (-0.3, -0.2, 0.1)})
        sampling = Sampling(steps=8, guidance=2.0, solver=solver)
        options = Options(method=method, coherence=Independent(), sampling=sampling)
        store = Store(tmp_path / type(method).__name__)
        run = Run.of(backend, options, store, events.append)
        events.clear()
        window = window_of(run, (3, 8, 8), 8)
        sampled(run, window)
        evaluated[method] = backend.evaluations
    up = 2 if solver == "rf" else 1
    assert evaluated == {Method(): 2 * 8 * (up + 2), Half(): 2 * 4 * (up + 2)}
    steps = [event for event in events if isinstance(event, Progress) and event.unit == "step"]
    assert {event.total for event in steps} == {4} and max(event.done for event in steps) == 4
    events.clear()
    source_trajectory(run, window, None, "key")
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "reusing 4 inversion steps from the store"
    ]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"inversion_depth": 1.0},
        {"solver": "rf"},
        {"solver": "rf", "inversion_depth": 1.0, "window": 3, "keyframe_every": 2},
        {"coherence": "joint", "window": 3, "inversion_depth": 0.3, "keyframe_every": 2},
        {"coherence": "none", "solver": "ddim", "inversion_depth": 0.3, "inversion_rounds": 1},
    ],
)
def test_the_plan_says_how_many_calls_there_will_be(
    given: dict[str, Any],
    clip_of: Callable[..., Path],
    joint_backend: StableDiffusion3,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    counted: list[int] = []
    predict = StableDiffusion3.predict

    def counting(self: StableDiffusion3, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        counted.append(len(x))
        return predict(self, x, timestep, context)

    usual = {"steps": 6, "size": 32, "source_prompt": "a hen", "store": tmp_path / "store", "attention_until": 0.4}
    options, source = Options.from_flat({**usual, **given}), clip_of(5)
    said = plan(source, options, backend=joint_backend)
    monkeypatch.setattr(StableDiffusion3, "predict", counting)
    translate(source, "a fox", tmp_path / "out.mp4", options, backend=joint_backend)
    assert sum(counted) == said.evaluations
    assert said.steps == {1.0: 6, 0.3: 2}.get(given.get("inversion_depth", 0.5), 3)
