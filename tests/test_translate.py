"""The whole path, with a random network: what comes in goes out translated, whole, and can be interrupted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import DeviceError
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.options import COHERENCES, TranslateOptions
from pnpvideo.translate import translate
from pnpvideo.video.read import read

Clips = Callable[..., Path]
Options = Callable[..., TranslateOptions]


@pytest.fixture
def options(checkpoint: Path, tmp_path: Path) -> Options:
    def make(**given: Any) -> TranslateOptions:
        usual = {"model": str(checkpoint), "store": tmp_path / "store", "steps": 2, "size": 32, "device": "cpu"}
        return TranslateOptions(**{**usual, **given})

    return make


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every call of the network."""
    rows: list[int] = []
    predict = StableDiffusion.predict

    def counted(self: StableDiffusion, x: torch.Tensor, timestep: int, context: torch.Tensor) -> torch.Tensor:
        rows.append(len(x))
        return predict(self, x, timestep, context)

    monkeypatch.setattr(StableDiffusion, "predict", counted)
    return rows


def notices(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Notice))


@pytest.mark.parametrize("count", [1, 2, 7, 9, 17])
def test_every_frame_comes_back_at_its_time(count: int, clip_of: Clips, options: Options, tmp_path: Path) -> None:
    source, output = clip_of(count), tmp_path / "out.mp4"
    result = translate(source, "a fox", output, options())
    before, after = list(read(source).frames()), list(read(output).frames())
    assert [frame.pts_seconds for frame in after] == [frame.pts_seconds for frame in before]
    assert len(after) == count and after[0].pixels.shape == (64, 96, 3)
    assert (result.report["frames"], result.report["drawings"]) == (count, count)
    assert np.abs(after[0].pixels.astype(int) - before[0].pixels).mean() > 5


@pytest.mark.parametrize("coherence", COHERENCES)
@pytest.mark.parametrize("method", ["pnp", "sdedit"])
def test_odd_sizes_come_back_whatever_the_method(
    method: str, coherence: str, clip_of: Clips, options: Options, tmp_path: Path
) -> None:
    chosen = options(method=method, coherence=coherence, keyframe_every=2)
    translate(clip_of(3, 97, 65), "a fox", tmp_path / "out.mp4", chosen)
    assert [frame.pixels.shape for frame in read(tmp_path / "out.mp4").frames()] == [(65, 97, 3)] * 3


def test_a_still(options: Options, tmp_path: Path) -> None:
    Image.new("RGB", (45, 70), (10, 200, 90)).save(tmp_path / "in.png")
    translate(tmp_path / "in.png", "a fox", tmp_path / "out.png", options())
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (45, 70)


def test_a_generated_guidance_depends_on_its_seed(options: Options, tmp_path: Path) -> None:
    def picture(name: str, seed: int) -> bytes:
        chosen = options(generate=True, source_prompt="a hen", seed=seed, store=tmp_path / name)
        translate(None, "a fox", tmp_path / f"{name}.png", chosen)
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.size == (32, 32)
            return image.tobytes()

    assert picture("a", 1) == picture("b", 1) != picture("c", 2)


def test_held_drawings_are_translated_once(clip_of: Clips, options: Options, calls: list[int], tmp_path: Path) -> None:
    chosen = options(coherence="none", guidance=1.0, feature_until=0.5)
    result = translate(clip_of(8, hold=2), "a fox", tmp_path / "out.mp4", chosen)
    assert (result.report["frames"], result.report["drawings"]) == (8, 4)
    assert calls == [4, 4, 8, 4]  # two of inversion; sampling with the source lane, then without it
    assert len(list(read(tmp_path / "out.mp4").frames())) == 8


@pytest.mark.parametrize("prompt", ["", "🦊", "ein Füchschen"])
def test_any_text_is_a_prompt(prompt: str, clip_of: Clips, options: Options, tmp_path: Path) -> None:
    assert translate(clip_of(1), prompt, tmp_path / "out.mp4", options()).output.is_file()


def test_what_is_not_read_of_a_long_prompt_is_said(clip_of: Clips, options: Options, tmp_path: Path) -> None:
    events: list[Event] = []
    translate(clip_of(1), "abcdefghijklmnopqrstuvwxyz", tmp_path / "out.mp4", options(), report=events.append)
    assert "not read: 'stuvwxyz'" in notices(events)


@pytest.mark.parametrize(("stage", "step"), [("invert", 1), ("invert", 3), ("sample", 1), ("sample", 2)])
def test_an_interrupted_run_goes_on_to_the_same_file(
    stage: str, step: int, clip_of: Clips, options: Options, calls: list[int], tmp_path: Path
) -> None:
    source, chosen = clip_of(3), options(steps=3, keyframe_every=2)
    whole = translate(source, "a fox", tmp_path / "whole.mp4", options(steps=3, keyframe_every=2, store=tmp_path / "s"))
    of_whole = len(calls)
    calls.clear()

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and (event.stage, event.done) == (stage, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translate(source, "a fox", tmp_path / "out.mp4", chosen, report=interrupt)
    assert not (tmp_path / "out.mp4").exists()
    resumed = translate(source, "a fox", tmp_path / "out.mp4", chosen)
    assert resumed.output.read_bytes() == whole.output.read_bytes()
    assert len(calls) == of_whole  # no step was made twice


def test_another_prompt_reuses_the_inversion(
    clip_of: Clips, options: Options, calls: list[int], tmp_path: Path
) -> None:
    source, events = clip_of(2), list[Event]()
    translate(source, "a fox", tmp_path / "fox.mp4", options())
    of_first = len(calls)
    translate(source, "a hen", tmp_path / "hen.mp4", options(), report=events.append)
    assert "reusing 2 inversion steps" in notices(events)
    assert len(calls) - of_first == of_first - 2


def test_nan_is_told_with_its_step_and_not_kept(
    clip_of: Clips, options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, predict, made = clip_of(1), StableDiffusion.predict, list[int]()

    def failing(self: StableDiffusion, x: torch.Tensor, timestep: int, context: torch.Tensor) -> torch.Tensor:
        made.append(timestep)
        return predict(self, x, timestep, context) * (float("nan") if len(made) == 2 else 1.0)

    with monkeypatch.context() as broken:
        broken.setattr(StableDiffusion, "predict", failing)
        with pytest.raises(DeviceError, match="invert step 2"):
            translate(source, "a fox", tmp_path / "out.mp4", options(steps=3))
    events: list[Event] = []
    translate(source, "a fox", tmp_path / "out.mp4", options(steps=3), report=events.append)
    assert "reusing 1 inversion steps" in notices(events)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_it_was(
    fails: bool, clip_of: Clips, options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[Any, list[Any]]] = []
    load = StableDiffusion.__init__

    def state(network: Any) -> list[Any]:
        hooks = [dict(module._forward_hooks) for module in network.modules()]
        return [network.attn_processors, hooks]

    def remembered(self: StableDiffusion, *given: Any) -> None:
        load(self, *given)
        seen.append((self.network, state(self.network)))

    def interrupt(event: Event) -> None:
        if fails and isinstance(event, Progress) and event.stage == "sample":
            raise KeyboardInterrupt

    monkeypatch.setattr(StableDiffusion, "__init__", remembered)
    source = clip_of(2)
    if fails:
        with pytest.raises(KeyboardInterrupt):
            translate(source, "a fox", tmp_path / "out.mp4", options(), report=interrupt)
    else:
        translate(source, "a fox", tmp_path / "out.mp4", options(), report=interrupt)
    ((network, before),) = seen
    after = state(network)
    assert all(after[0][name] is processor for name, processor in before[0].items())
    assert after[1] == before[1]
