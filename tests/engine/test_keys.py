"""What the store has is used where it belongs, and nowhere else: a result never depends on the runs before it."""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Frame, Shot
from pnpvideo.video.drawings import Drawings

MakeOptions = Callable[..., Options]
STEPS, FRAMES = 2, 4


@pytest.fixture(scope="module")
def other(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    """The same model with other weights of its network."""
    folder = shutil.copytree(checkpoint, tmp_path_factory.mktemp("model") / "other")
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["conv_out.bias"] += 0.1
    save_file(tensors, path, metadata={"format": "pt"})
    return StableDiffusion(str(folder), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def half(checkpoint: Path) -> StableDiffusion:
    return StableDiffusion(str(checkpoint), torch.device("cpu"), torch.bfloat16)


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8))


class Run:
    """Translate windows of pictures; ``stop``: (window, stage, step) after which the run is interrupted."""

    def __init__(
        self,
        backend: StableDiffusion,
        options: Options,
        prompt: str = "a fox",
        windows: list[list[np.ndarray]] | None = None,
        stop: tuple[int, str, int] | None = None,
        shot: int = 0,
        fps: int = 8,
        mask: np.ndarray | None = None,
    ) -> None:
        self.notices: list[str] = []
        self.steps = 0
        self.stop = stop
        self.results: list[np.ndarray] = []
        translator = ClipTranslator.of(backend, options, prompt, Store(options.runtime.store), self.listen)
        seen = 0
        parts = [pictures(FRAMES)] if windows is None else windows
        for part, given in enumerate(parts):
            frames = tuple(Frame(seen + n, Fraction(seen + n, fps), picture) for n, picture in enumerate(given))
            drawings = Drawings(frames, tuple(range(len(frames))), None if mask is None else (mask,) * len(frames))
            window = Shot(shot, frames, part=part, more=part + 1 < len(parts))
            self.results.append(translator.translate(window, drawings, (32, 32)).pictures)
            seen += len(frames)
        translator.finish()

    def listen(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event.message)
        elif isinstance(event, Progress) and event.unit == "step" and event.done:
            self.steps += 1
            if self.stop == (event.window - 1, event.stage, event.done):
                raise KeyboardInterrupt

    @property
    def reused(self) -> bool:
        return any("reusing" in notice for notice in self.notices)

    @property
    def resumed(self) -> bool:
        return any("resuming" in notice for notice in self.notices)

    def same(self, other: "Run") -> bool:
        return all(np.array_equal(a, b) for a, b in zip(self.results, other.results, strict=True))


SETTINGS: dict[str, dict[str, Any]] = {
    "flow": {"coherence": "flow", "keyframe_every": 3},
    "flow, small calls": {"coherence": "flow", "keyframe_every": 3, "batch": 1},
    "flow, another seed": {"coherence": "flow", "keyframe_every": 3, "seed": 5},
    "joint": {"coherence": "joint", "keyframe_every": 2},
    "each frame": {"coherence": "none"},
    "each frame, calls of 2": {"coherence": "none", "batch": 2},
    "ddim": {"coherence": "flow", "keyframe_every": 3, "solver": "ddim"},
}


def test_results_do_not_depend_on_what_earlier_runs_left_in_the_store(
    backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    alone = {
        name: Run(backend, options(steps=STEPS, store=tmp_path / name, **given)) for name, given in SETTINGS.items()
    }
    for name in reversed(SETTINGS):
        again = Run(backend, options(steps=STEPS, store=tmp_path / "shared", **SETTINGS[name]))
        assert again.same(alone[name]), name
    for name in ("flow", "joint", "each frame"):  # now with all of it in the store
        assert Run(backend, options(steps=STEPS, store=tmp_path / "shared", **SETTINGS[name])).same(alone[name]), name
    assert not alone["flow"].same(alone["joint"])


@pytest.mark.parametrize("level", [1, 2])
def test_an_inversion_that_another_setting_left_unfinished_changes_nothing(
    level: int, backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    flow = options(steps=STEPS, store=tmp_path / "shared", **SETTINGS["flow"])
    with pytest.raises(KeyboardInterrupt):
        Run(backend, flow, stop=(0, "invert", level))
    whole = Run(backend, flow.changed({"store": tmp_path / "alone"}))
    assert Run(backend, flow.changed({"batch": 1})).same(
        Run(backend, flow.changed({"batch": 1, "store": tmp_path / "other"}))
    )
    assert Run(backend, flow).same(whole)


REUSED: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing": ({}, True),
    "prompt": ({"prompt": "a hen"}, True),
    "guidance": ({"guidance": 3.0}, True),
    "attention": ({"attention_until": 0.1}, True),
    "fresh noise": ({"fresh_noise": 0.5}, True),
    "another method that inverts": ({"method": "pix2pix-zero", "regularize": 0, "solver": "2m"}, True),
    "source prompt": ({"source_prompt": "an owl"}, False),
    "steps": ({"steps": 3}, False),
    "spacing": ({"spacing": "checkpoint"}, False),
    "solver": ({"solver": "ddim"}, False),
    "regularisation": ({"solver": "ddim", "regularize": 1}, False),
    "pixels": ({"windows": [pictures(FRAMES, seed=1)]}, False),
    "model": ({"backend": "other"}, False),
    "precision": ({"backend": "half"}, False),
    "frames a call": ({"batch": 2}, False),
    "keyframes": ({"keyframe_every": 2}, False),
}


@pytest.mark.parametrize("changed", REUSED)
def test_an_inversion_is_reused_where_nothing_that_it_depends_on_has_changed(
    changed: str,
    backend: StableDiffusion,
    other: StableDiffusion,
    half: StableDiffusion,
    options: MakeOptions,
    tmp_path: Path,
) -> None:
    given, reused = REUSED[changed]
    asked = {"steps": STEPS, **SETTINGS["flow"]}
    Run(backend, options(**asked))
    second = {**asked, **{name: value for name, value in given.items() if name not in ("prompt", "windows", "backend")}}
    rest = {name: value for name, value in given.items() if name in ("prompt", "windows")}
    model = {"other": other, "half": half}.get(given.get("backend", ""), backend)
    again = Run(model, options(**second), **rest)
    assert again.reused == reused
    assert again.same(Run(model, options(**second, store=tmp_path / "alone"), **rest))


def test_corrections_of_the_inversion_are_part_of_its_key(backend: StableDiffusion, options: MakeOptions) -> None:
    Run(backend, options(solver="ddim", coherence="none"))
    assert not Run(backend, options(solver="ddim", coherence="none", inversion_rounds=1)).reused
    assert Run(backend, options(solver="ddim", coherence="none", inversion_rounds=1)).reused


RESUMED: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    # settings of the interrupted run, what the next one changes, whether it goes on
    "nothing": ({}, {}, True),
    "prompt": ({}, {"prompt": "a hen"}, False),
    "negative": ({}, {"negative": "a hen"}, False),
    "guidance": ({}, {"guidance": 3.0}, False),
    "guidance span": ({}, {"guidance_span": (0.0, 0.5)}, False),
    "attention": ({}, {"attention_until": 0.1}, False),
    "fresh noise": ({}, {"fresh_noise": 0.5}, False),
    "coherence": ({}, {"coherence": "joint"}, False),
    "frames a call": ({}, {"batch": 2}, False),
    "method": ({}, {"method": "pix2pix-zero", "regularize": 0, "solver": "2m"}, False),
    "model": ({}, {"backend": "other"}, False),
    "precision": ({}, {"backend": "half"}, False),
    "shot": ({}, {"shot": 1}, False),
    "times": ({}, {"fps": 12}, False),
    "keeping the background": ({"change": ("a", "b")}, {"keep_background": True}, False),
    "noise of sdedit": ({"method": "sdedit", "strength": 1.0}, {"seed": 1}, False),
    "coherence of sdedit": ({"method": "sdedit", "strength": 1.0, "coherence": "none"}, {"coherence": "joint"}, False),
    "frames a call of sdedit": ({"method": "sdedit", "strength": 1.0, "coherence": "none"}, {"batch": 2}, False),
    "prompt of sdedit": ({"method": "sdedit", "strength": 1.0}, {"prompt": "a hen"}, False),
}


@pytest.mark.parametrize("changed", RESUMED)
def test_an_interrupted_run_is_taken_up_where_nothing_that_it_depends_on_has_changed(
    changed: str,
    backend: StableDiffusion,
    other: StableDiffusion,
    half: StableDiffusion,
    options: MakeOptions,
    tmp_path: Path,
) -> None:
    first, given, resumed = RESUMED[changed]
    asked = {"steps": STEPS, "source_prompt": "a b", **SETTINGS["flow"], **first}
    with pytest.raises(KeyboardInterrupt):
        Run(backend, options(**asked), stop=(0, "sample", 1))
    apart = ("prompt", "backend", "shot", "fps")
    second = {**asked, **{name: value for name, value in given.items() if name not in apart}}
    rest = {name: value for name, value in given.items() if name in ("prompt", "shot", "fps")}
    model = {"other": other, "half": half}.get(given.get("backend", ""), backend)
    again = Run(model, options(**second), **rest)
    assert again.resumed == resumed
    assert again.same(Run(model, options(**second, store=tmp_path / "alone"), **rest))


def test_a_window_is_taken_up_only_beside_the_anchors_that_it_began_with(
    backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    asked = options(steps=STEPS, **SETTINGS["joint"])
    second = pictures(FRAMES, seed=2)
    with pytest.raises(KeyboardInterrupt):
        Run(backend, asked, windows=[pictures(FRAMES, seed=0), second], stop=(1, "sample", 1))
    other_first = [pictures(FRAMES, seed=1), second]
    again = Run(backend, asked, windows=other_first)
    assert not again.resumed
    assert again.same(Run(backend, asked.changed({"store": tmp_path / "alone"}), windows=other_first))


def test_an_interrupted_run_is_not_taken_up_for_another_mask(
    backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    asked, left = options(steps=STEPS, **SETTINGS["each frame"]), np.zeros((32, 32), np.uint8)
    left[:, :16] = 255
    with pytest.raises(KeyboardInterrupt):
        Run(backend, asked, stop=(0, "sample", 1), mask=left)
    again = Run(backend, asked, mask=255 - left)
    assert not again.resumed
    assert again.same(Run(backend, asked.changed({"store": tmp_path / "alone"}), mask=255 - left))


def test_a_generated_guidance_depends_on_its_seed_and_prompt(backend: StableDiffusion, options: MakeOptions) -> None:
    blank = [[np.zeros((32, 32, 3), np.uint8)]]

    def run(**given: Any) -> Run:
        return Run(backend, options(**{"generate": True, "source_prompt": "a hen", "steps": 2, **given}), windows=blank)

    first = run()
    assert run(guidance=3.0).steps == 4 and run(seed=1).steps == 4 and run(source_prompt="an owl").steps == 4
    again = run()
    assert again.same(first) and again.steps == 2  # its trajectory is known: only the translation is made again
