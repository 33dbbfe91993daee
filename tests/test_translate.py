"""The whole path, with a random network: what comes in goes out translated, whole, and can be interrupted."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, DPMSolver2M, State, second_order_term
from pnpvideo.engine.denoiser import Denoiser
from pnpvideo.errors import DeviceError, OptionError
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.injection import Conditioning, Kind, Moment
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.read import read
from pnpvideo.video.span import TimeSpan

Clips = Callable[..., Path]
MakeOptions = Callable[..., Options]
SELF, RESIDUAL = Kind.SELF, Kind.RESIDUAL


def notices(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Notice))


@pytest.mark.parametrize("count", [1, 2, 7, 9, 17])
def test_every_frame_comes_back_at_its_time(count: int, clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    source, output = clip_of(count), tmp_path / "out.mp4"
    result = translate(source, "a fox", output, options())
    before, after = list(read(source).frames()), list(read(output).frames())
    assert [frame.pts_seconds for frame in after] == [frame.pts_seconds for frame in before]
    assert len(after) == count and after[0].pixels.shape == (64, 96, 3)
    assert (result.report["frames"], result.report["drawings"]) == (count, count)
    assert np.abs(after[0].pixels.astype(int) - before[0].pixels).mean() > 5


def test_a_span_of_seconds_is_translated_and_stands_in_the_report(
    clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    chosen = options(frames=TimeSpan(0.1, 0.4), steps=1)  # of 12 frames a second: 2, 3 and 4
    result = translate(clip_of(9), "a fox", tmp_path / "out.mp4", chosen)
    assert len(list(read(tmp_path / "out.mp4").frames())) == result.report["frames"] == 3
    assert json.loads(json.dumps(result.report))["options"]["frames"] == "0.1s:0.4s"


@pytest.mark.parametrize("coherence", COHERENCES)
@pytest.mark.parametrize("method", ["pnp", "sdedit"])
def test_odd_sizes_come_back_whatever_the_method(
    method: str, coherence: str, clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    chosen = options(method=method, coherence=coherence, keyframe_every=2)
    translate(clip_of(3, 97, 65), "a fox", tmp_path / "out.mp4", chosen)
    assert [frame.pixels.shape for frame in read(tmp_path / "out.mp4").frames()] == [(65, 97, 3)] * 3


def test_a_still(options: MakeOptions, tmp_path: Path) -> None:
    Image.new("RGB", (45, 70), (10, 200, 90)).save(tmp_path / "in.png")
    translate(tmp_path / "in.png", "a fox", tmp_path / "out.png", options())
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (45, 70)


def test_a_generated_guidance_depends_on_its_seed(options: MakeOptions, tmp_path: Path) -> None:
    def picture(name: str, seed: int) -> bytes:
        chosen = options(generate=True, source_prompt="a hen", seed=seed, store=tmp_path / name)
        translate(None, "a fox", tmp_path / f"{name}.png", chosen)
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.size == (32, 32)
            return image.tobytes()

    assert picture("a", 1) == picture("b", 1) != picture("c", 2)


def test_held_drawings_are_translated_once(
    clip_of: Clips, options: MakeOptions, calls: list[int], tmp_path: Path
) -> None:
    chosen = options(coherence="none", guidance=1.0, feature_until=0.5)
    result = translate(clip_of(8, hold=2), "a fox", tmp_path / "out.mp4", chosen)
    assert (result.report["frames"], result.report["drawings"]) == (8, 4)
    assert calls == [4, 4, 4, 4, 4]  # two of inversion; sampling with the source first, then without it
    assert len(list(read(tmp_path / "out.mp4").frames())) == 8


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("coherence", ["flow", "joint"])
def test_a_clip_may_be_shorter_than_the_distance_of_keyframes(
    count: int, coherence: str, clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    chosen = options(coherence=coherence, keyframe_every=8)
    result = translate(clip_of(count), "a fox", tmp_path / "out.mp4", chosen)
    assert result.report["frames"] == len(list(read(result.output).frames())) == count


@pytest.mark.parametrize("prompt", ["", "🦊", "ein Füchschen"])
def test_any_text_is_a_prompt(prompt: str, clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    assert translate(clip_of(1), prompt, tmp_path / "out.mp4", options()).output.is_file()


def test_what_is_not_read_of_a_long_prompt_is_said(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    events: list[Event] = []
    translate(clip_of(1), "abcdefghijklmnopqrstuvwxyz", tmp_path / "out.mp4", options(), report=events.append)
    assert "not read: 'stuvwxyz'" in notices(events)


@pytest.mark.parametrize(
    ("stage", "step", "given"),
    [
        ("invert", 1, {}),
        ("invert", 2, {}),
        ("invert", 3, {}),
        ("invert", 3, {"solver": "ddim", "inversion_rounds": 1}),
        ("sample", 1, {}),
        ("sample", 2, {}),
        ("sample", 2, {"solver": "ddim"}),
        ("sample", 2, {"coherence": "joint", "negative": "a hen"}),
        ("sample", 1, {"method": "sdedit", "strength": 1.0}),
        ("invert", 2, {"generate": True, "source_prompt": "a hen"}),
        ("sample", 1, {"generate": True, "source_prompt": "a hen"}),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_file(
    stage: str, step: int, given: dict[str, Any], clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    made: list[tuple[str, int]] = []

    def listen(event: Event) -> None:
        made.extend([(event.stage, event.done)] if isinstance(event, Progress) and event.unit == "step" else [])

    def interrupt(event: Event) -> None:
        listen(event)
        if made and made[-1] == (stage, step):
            raise KeyboardInterrupt

    source, name = (None, "out.png") if "generate" in given else (clip_of(3), "out.mp4")
    chosen = options(steps=3, keyframe_every=2, **given)
    elsewhere = chosen.changed({"store": tmp_path / "other"})
    whole = translate(source, "a fox", tmp_path / f"whole-{name}", elsewhere, report=listen)
    of_whole = made.copy()
    made.clear()

    with pytest.raises(KeyboardInterrupt):
        translate(source, "a fox", tmp_path / name, chosen, report=interrupt)
    assert not (tmp_path / name).exists()
    resumed = translate(source, "a fox", tmp_path / name, chosen, report=listen)
    assert resumed.output.read_bytes() == whole.output.read_bytes()
    assert made == of_whole  # no step was made twice


@pytest.mark.parametrize("stopped", [0, 4])
def test_a_long_shot_goes_in_windows_and_is_resumed(
    stopped: int, clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    """Interrupted in one of its windows, it goes on to the file of the whole run, anchors included."""
    source, chosen = clip_of(11), options(window=4, keyframe_every=2, steps=3)
    whole = translate(source, "a fox", tmp_path / "whole.mp4", chosen.changed({"store": tmp_path / "other"}))
    assert [whole.report[name] for name in ("shots", "windows", "frames")] == [1, 3, 11]  # of 4, 4 and 3
    sampled: list[Event] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "sample":
            sampled.append(event)
            if len(sampled) == stopped + 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translate(source, "a fox", tmp_path / "out.mp4", chosen, report=interrupt)
    resumed = translate(source, "a fox", tmp_path / "out.mp4", chosen)
    assert resumed.output.read_bytes() == whole.output.read_bytes()


def frames_of(path: Path) -> np.ndarray:
    return np.stack([frame.pixels for frame in read(path).frames()]).astype(float)


def test_windows_of_frames_that_share_nothing_are_the_whole(
    clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    source, apart = clip_of(7), options(coherence="none", window=3)
    windows = translate(source, "a fox", tmp_path / "windows", apart).output
    whole = translate(source, "a fox", tmp_path / "whole", apart.changed({"window": 48})).output
    assert np.abs(frames_of(windows) - frames_of(whole)).max() <= 1


@pytest.mark.parametrize("coherence", ["flow", "joint"])
def test_windows_attend_to_their_anchors(
    coherence: str, clip_of: Clips, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second window's keyframes are, at each step, its own and two of the first window's, as those were then."""
    seen: list[tuple[tuple[int, ...], torch.Tensor]] = []
    predict = Denoiser.__call__

    def watched(self: Denoiser, x: torch.Tensor, level: int) -> Any:
        seen.append((self.coherence.keyframes(len(x), self.place, 2 - level, self.anchors), x))
        return predict(self, x, level)

    monkeypatch.setattr(Denoiser, "__call__", watched)
    chosen = options(coherence=coherence, window=4, keyframe_every=2)
    translate(clip_of(8), "a fox", tmp_path / "out.mp4", chosen)
    first, second = seen[:2], seen[2:]
    for (before, x), (after, y) in zip(first, second, strict=True):
        assert len(x) == 4 and len(before) == 2
        assert len(y) == 2 + 4 and after[:2] == (0, 1) and len(after) == 4
        assert torch.equal(y[:2], x[[1, 3]])


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        # the noisiest level is the one that an inversion does not ask about; then keyframes need the source's attention
        # while that is injected, and all frames its features
        (
            {"attention_until": 0.5, "feature_until": 0.5},
            [(0, True, SELF), (0, False, SELF), (1, True, SELF), (1, False, RESIDUAL)],
        ),
        ({"attention_until": 0.5, "feature_until": 0.0}, [(0, True, SELF), (0, False, SELF), (1, True, SELF)]),
        pytest.param(
            {"method": "pix2pix-zero", "solver": "2m"}, [(0, True, SELF), (0, False, SELF)], marks=pytest.mark.slow
        ),
    ],
)
def test_what_inversion_saw_serves_token_flow(
    given: dict[str, Any],
    needed: list[tuple[int, bool, Kind]],
    clip_of: Clips,
    options: MakeOptions,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The run that inverts takes the source along less than one that finds the inversion in the store: at which steps,
    with keyframes or others, and up to what."""
    asked: list[tuple[int, bool, Kind]] = []
    last_of_source, evaluate, evaluating = Denoiser._last_of_source, Denoiser.evaluate, []

    def counted(self: Denoiser, x: torch.Tensor, level: int) -> Any:
        evaluating.append(level)
        evaluation = evaluate(self, x, level)
        evaluating.pop()
        return evaluation

    def watched(self: Denoiser, moment: Moment, frames: tuple[int, ...]) -> Any:
        last = last_of_source(self, moment, frames)
        if evaluating and last is not None:  # the estimate of a run asks as well
            asked.append((moment.step, frames == moment.keyframes, last.kind))
        return last

    monkeypatch.setattr(Denoiser, "evaluate", counted)
    monkeypatch.setattr(Denoiser, "_last_of_source", watched)
    source, chosen = clip_of(8), options(steps=4, window=4, keyframe_every=2, **given)
    first = translate(source, "a fox", tmp_path / "first.mp4", chosen)
    assert asked == needed * 2  # of two windows
    asked.clear()
    again = translate(source, "a fox", tmp_path / "again.mp4", chosen)
    assert asked == [(step, keyframes, SELF) for step in range(4) for keyframes in (True, False)] * 2
    assert again.output.read_bytes() == first.output.read_bytes()


def test_a_drawing_that_windows_share_is_translated_once(options: MakeOptions, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(12):
        Image.new("RGB", (48, 32), (200, 30 * (index >= 9), 40)).save(tmp_path / "in" / f"{index:03d}.png")
    report = translate(tmp_path / "in", "a fox", tmp_path / "out", options(window=3)).report
    assert [report[name] for name in ("shots", "windows", "drawings")] == [1, 2, 2]
    made = frames_of(tmp_path / "out")
    assert (made[:9] == made[0]).all() and (made[9:] == made[9]).all() and (made[9] != made[0]).any()


def test_each_shot_is_translated_by_itself(options: MakeOptions, tmp_path: Path) -> None:
    """Two shots in one folder of frames give what each gives in a folder of its own with its own number."""
    drawing = Random(3)
    blocks = [np.array([[drawing.randrange(256) for _ in range(3)] for _ in range(24)], np.uint8) for _ in range(2)]
    pictures = [np.kron(block.reshape(4, 6, 3), np.ones((16, 16, 1), np.uint8)) for block in blocks]
    for name, first, second in (("both", 3, 2), ("alone", 3, 0)):
        (tmp_path / name).mkdir()
        for index in range(first + second):
            picture = np.roll(pictures[index >= first], 3 * index, 1)
            Image.fromarray(picture).save(tmp_path / name / f"{index:03d}.png")
        result = translate(tmp_path / name, "a fox", tmp_path / f"{name}-out", options())
        assert (result.report["shots"], result.report["frames"]) == (1 + (second > 0), first + second)
    both, alone = (list(read(tmp_path / f"{name}-out").frames()) for name in ("both", "alone"))
    assert len(both) == 5
    for frame, same in zip(both, alone, strict=False):
        assert np.array_equal(frame.pixels, same.pixels)


def test_a_negative_prompt_changes_the_picture(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    def pixels(name: str, **given: Any) -> bytes:
        translate(clip_of(1), "a fox", tmp_path / name, options(steps=3, **given))
        return next(read(tmp_path / name).frames()).pixels.tobytes()

    plain = pixels("a.mp4")
    assert pixels("b.mp4", negative="") == plain != pixels("c.mp4", negative="a hen")


def test_a_v_prediction_checkpoint_undoes_its_own_inversion(checkpoint: Path, tmp_path: Path) -> None:
    """What the network answers is read as velocity: with many steps the way up and down meet."""
    folder = tmp_path / "v"
    shutil.copytree(checkpoint, folder)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "prediction_type": "v_prediction"}))
    backend = StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    clean = torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    words = backend.embed("a hen").batch()

    def error(steps: int) -> float:
        schedule = backend.schedule(steps)
        assert schedule.prediction is Prediction.VELOCITY

        def predict(x: torch.Tensor, level: float) -> torch.Tensor:
            return backend.predict(x, schedule.timestep(level), words)

        *_, noisy = invert(predict, State(clean, 0), schedule, DDIM())
        *_, back = sample(lambda x, level: (x, predict(x, level)), noisy, schedule, DDIM())
        return float((back.x - clean).square().mean())

    assert error(40) < error(5) / 10


def test_the_second_order_of_the_way_down_is_the_sources(options: MakeOptions, tmp_path: Path) -> None:
    """Without injection and guidance a run is the prompt's answers, each carried on by six tenths of how the source's
    path bends there."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    alone = options(steps=5, size=64, guidance=1.0, feature_until=0.0, attention_until=0.0, coherence="none")
    given = alone.changed({"solver": "2m", "spacing": "karras", "source_prompt": "a hen"})
    found = next(read(translate(tmp_path / "in.png", "a fox", tmp_path / "out.png", given).output).frames()).pixels
    backend = StableDiffusion(given.model, torch.device("cpu"), torch.float32)
    schedule = backend.schedule(5, "karras")
    hen, fox = (backend.embed(text).batch() for text in ("a hen", "a fox"))
    with torch.no_grad():
        clean = backend.encode(pixels[np.newaxis])

        def predict(x: torch.Tensor, level: float) -> torch.Tensor:
            return backend.predict(x, schedule.timestep(level), hen)

        up = invert(predict, State(clean, 0), schedule, DPMSolver2M())
        path = [clean, *(state.x for state in up)]
        x, plain = path[5], path[5]
        for level in range(5, 0, -1):
            signal, noise = schedule.signals[level], schedule.noises[level]
            steps = []
            for latents, term in ((x, second_order_term(path.__getitem__, schedule, level)), (plain, None)):
                eps = backend.predict(latents, schedule.timestep(level), fox)
                x0 = (latents - noise * eps) / signal + (0 if term is None else 0.6 * term)
                steps.append(schedule.mix(x0, (latents - signal * x0) / noise, level - 1))
            x, plain = steps
        expected, first_order = (backend.decode(latents)[0].astype(int) for latents in (x, plain))
    assert np.abs(found - expected).max() <= 1
    assert np.abs(found - first_order).max() > 1


def test_another_prompt_reuses_the_inversion(
    clip_of: Clips, options: MakeOptions, calls: list[int], tmp_path: Path
) -> None:
    source, events, chosen = clip_of(2), list[Event](), options(coherence="none")
    translate(source, "a fox", tmp_path / "fox.mp4", chosen)
    of_first = len(calls)
    translate(source, "a hen", tmp_path / "hen.mp4", chosen, report=events.append)
    assert "reusing 2 inversion steps" in notices(events)
    assert len(calls) - of_first == of_first - 2


def test_a_corrected_inversion_is_another_trajectory(
    clip_of: Clips, options: MakeOptions, calls: list[int], tmp_path: Path
) -> None:
    def run(name: str, **given: Any) -> tuple[int, str, bytes]:
        before, events = len(calls), list[Event]()
        chosen = options(solver="ddim", **given)
        output = translate(clip_of(2), "a fox", tmp_path / name, chosen, report=events.append).output
        return len(calls) - before, notices(events), next(read(output).frames()).pixels.tobytes()

    plain = run("plain.mp4")
    corrected, again = run("once.mp4", inversion_rounds=1), run("again.mp4", inversion_rounds=1)
    assert corrected[0] == plain[0] + 2 and "reusing" not in corrected[1]  # one call more for each of two steps
    assert again[0] == corrected[0] - 4 and "reusing 2 inversion steps" in again[1]
    assert plain[2] != corrected[2] == again[2]


def test_nan_is_told_with_its_step_and_not_kept(
    clip_of: Clips, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, predict, made = clip_of(1), StableDiffusion.predict, list[int]()

    def failing(self: StableDiffusion, x: torch.Tensor, timestep: int, context: Conditioning) -> torch.Tensor:
        made.append(timestep)
        return predict(self, x, timestep, context) * (float("nan") if len(made) == 2 else 1.0)

    with monkeypatch.context() as broken:
        broken.setattr(StableDiffusion, "predict", failing)
        broken.setattr("pnpvideo.engine.checkpoints.SECONDS", 0.0)
        with pytest.raises(DeviceError, match="invert step 2"):
            translate(source, "a fox", tmp_path / "out.mp4", options(steps=3))
    events: list[Event] = []
    translate(source, "a fox", tmp_path / "out.mp4", options(steps=3), report=events.append)
    assert "reusing 1 inversion steps" in notices(events)


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 2 bytes"),
        MemoryError(),
    ],
)
def test_exhausted_memory_says_what_needs_less(
    failure: Exception, clip_of: Clips, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> torch.Tensor:
        raise failure

    monkeypatch.setattr(StableDiffusion, "predict", full)
    with pytest.raises(DeviceError, match="a smaller --size"):
        translate(clip_of(1), "a fox", tmp_path / "out.mp4", options())
    assert not (tmp_path / "out.mp4").exists()


def test_where_memory_runs_out_the_batch_is_halved(
    clip_of: Clips, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A device that holds four latents at a time: 7 frames of two lanes, asked for by 8, go through by 2."""
    source, predict, events = clip_of(7), StableDiffusion.predict, list[Event]()
    chosen = options(coherence="none", method="sdedit", strength=1.0)
    whole = translate(source, "a fox", tmp_path / "whole", chosen).output

    def small(self: StableDiffusion, x: torch.Tensor, timestep: int, context: Conditioning) -> torch.Tensor:
        if len(x) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return predict(self, x, timestep, context)

    monkeypatch.setattr(StableDiffusion, "predict", small)
    elsewhere = chosen.changed({"store": tmp_path / "other"})
    split = translate(source, "a fox", tmp_path / "split", elsewhere, report=events.append).output
    assert [line for line in notices(events).splitlines() if "memory" in line] == [
        "memory ran out; 4 frames a network call from here on",
        "memory ran out; 2 frames a network call from here on",
    ]
    assert np.abs(frames_of(split) - frames_of(whole)).max() <= 1


def test_an_interrupted_run_is_not_taken_up_for_other_times(options: MakeOptions, tmp_path: Path) -> None:
    """The same frames at other times flow otherwise: what is half done for one is of no use for the other."""

    def clip(name: str, milliseconds: list[int]) -> Path:
        drawn = [Image.new("RGB", (48, 32), (150, 200, 235)) for _ in range(4)]
        for index, picture in enumerate(drawn):
            picture.paste((220, 60, 50), (4 + 8 * index, 10, 20 + 8 * index, 26))
        drawn[0].save(tmp_path / name, save_all=True, append_images=drawn[1:], duration=milliseconds, loop=0)
        return tmp_path / name

    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and (event.stage, event.done) == ("sample", 1):
            raise KeyboardInterrupt

    even, uneven = clip("even.png", [40, 40, 40, 40]), clip("uneven.png", [40, 400, 40, 400])
    with pytest.raises(KeyboardInterrupt):
        translate(even, "a fox", tmp_path / "out.mp4", options(), report=interrupt)
    events: list[Event] = []
    translate(uneven, "a fox", tmp_path / "out.mp4", options(), report=events.append)
    assert "reusing 2 inversion steps" in notices(events) and "resuming" not in notices(events)


@pytest.mark.parametrize("method", ["pnp", "sdedit"])
def test_a_generated_guidance_is_of_its_source_prompt(method: str, options: MakeOptions, tmp_path: Path) -> None:
    def picture(name: str, source_prompt: str) -> bytes:
        chosen = options(method=method, generate=True, source_prompt=source_prompt, negative="", strength=0.5)
        translate(None, "a fox", tmp_path / name, chosen)
        return next(read(tmp_path / name).frames()).pixels.tobytes()

    assert picture("hen.png", "a hen") != picture("cow.png", "a green cow with wings")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"generate": True}, "source prompt"),
        ({"generate": True, "source_prompt": "a hen", "frames": (0, 2)}, "no span"),
        ({"generate": "yes", "source_prompt": "a hen"}, "generate is 'yes'"),
        ({"overwrite": "no"}, "overwrite is 'no'"),
        ({"frames": "0:25"}, "a pair"),
        ({"frames": 5}, "a pair"),
        ({"guidance_span": 0.5}, "a pair of shares"),
        ({"guidance_span": (0.6, 0.6)}, "an empty span"),
        ({"guidance_span": (0.0, 1.5)}, "a number from 0 to 1"),
        ({"preset": "fast"}, "best, balanced, draft"),
        ({"solver": "euler"}, "2m, ddim"),
        ({"spacing": "even"}, "karras, checkpoint"),
        ({"window": 0}, "of at least 1"),
        ({"memory": 0}, "of at least 1"),
    ],
)
def test_options_that_do_not_go_together(given: dict[str, Any], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        Options.from_flat(given)


def test_a_generated_guidance_takes_no_input(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="an input was given too"):
        translate(clip_of(1), "a fox", tmp_path / "o.mp4", options(generate=True, source_prompt="a hen"))


def test_the_report_is_enough_to_repeat_the_run(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    events: list[Event] = []
    report = translate(clip_of(2), "a fox", tmp_path / "o.mp4", options(), report=events.append).report
    assert json.loads(json.dumps(report)) == report
    used = {
        **{"device": "cpu", "dtype": "float32", "steps": 2, "solver": "2m", "spacing": "karras", "guidance": 7.5},
        **{"feature_until": 0.8, "attention_until": 0.5, "fresh_noise": 0.0, "inversion_rounds": 0, "size": 32},
        **{"regularize": 0.0, "negative": "", "method": "pnp", "coherence": "flow", "keyframe_every": 8, "seed": 0},
    }
    assert report["resolved"] | used == report["resolved"]
    origins = report["origins"]
    assert (origins["steps"], origins["solver"], origins["guidance"], origins["seed"]) == (
        *("call", "preset", "default", "default"),
    )
    assert report["texts"] == [{"source": "", "prompt": "a fox", "negative": ""}]
    assert report["input_sha256"] == sha256((tmp_path / "in.mp4").read_bytes()).hexdigest()
    assert report["output_sha256"] == sha256((tmp_path / "o.mp4").read_bytes()).hexdigest()
    stages = [event.stage for event in events if isinstance(event, Progress)]
    assert list(dict.fromkeys(stages)) == ["read", "load", "encode", "invert", "sample", "decode", "write"]
    assert stages.count("encode") == stages.count("decode") == stages.count("write") == 2


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_it_was(
    fails: bool, backend: StableDiffusion, clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    def state() -> list[Any]:
        hooks = [dict(module._forward_hooks) for module in backend.network.modules()]
        return [backend.network.attn_processors, hooks]

    def interrupt(event: Event) -> None:
        if fails and isinstance(event, Progress) and event.stage == "sample":
            raise KeyboardInterrupt

    source, before = clip_of(2), state()
    with pytest.raises(KeyboardInterrupt) if fails else nullcontext():
        translate(source, "a fox", tmp_path / "out.mp4", options(), backend=backend, report=interrupt)
    after = state()
    assert all(after[0][name] is processor for name, processor in before[0].items())
    assert after[1] == before[1]


def test_stored_trajectories_say_what_they_are_of(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    asked = options()
    translate(clip_of(1, name="wolf.mp4"), "a fox", tmp_path / "out.mp4", asked)
    (info,) = Store(tmp_path / "store").list()
    assert info.about == {"clip": "wolf.mp4", "model": asked.model, "size": "48 x 32"}


@pytest.mark.parametrize("given", [{}, {"negative": "a (fox:9)"}, {"source_prompt": "a (fox:9)"}])
def test_a_weight_out_of_range_is_refused_before_anything_is_read(given: dict[str, Any], tmp_path: Path) -> None:
    prompt = "a fox" if given else "a (fox:9)"
    with pytest.raises(OptionError, match="gives a weight of 9"):
        translate(
            tmp_path / "missing.mp4", prompt, tmp_path / "out.mp4", Options.from_flat({"model": "none/none", **given})
        )


@pytest.mark.parametrize(
    "given",
    [
        {"window": 3, "keyframe_every": 2},
        {"method": "sdedit", "strength": 0.5, "window": 3, "coherence": "none"},
        {"generate": True, "source_prompt": "a hen"},
    ],
)
def test_progress_tells_the_share_of_the_whole_run(
    given: dict[str, Any], clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    events: list[Event] = []
    source, name = (None, "out.png") if "generate" in given else (clip_of(7), "out.mp4")
    translate(source, "a fox", tmp_path / name, options(steps=4, **given), report=events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [(event.stage, event.done, event.shot) for event in progress[:4]] == [
        *(("read", 0, 0), ("read", 1, 0), ("load", 0, 0), ("load", 1, 0))
    ]
    shares = [event.overall for event in progress[4:]]
    told = [share for share in shares if share is not None]
    assert len(told) == len(shares) and told == sorted(told)
    assert told[0] < 0.2 and told[-1] == 1.0
    assert max(after - before for before, after in pairwise(told)) < 0.5, "no step is most of the run"
    assert {event.shot for event in progress[4:]} == {1}
    windows = [event.window for event in progress[4:] if event.stage != "write"]
    assert windows[0] == 1 and max(windows) == (1 if "generate" in given else 2)
    last = [event for event in progress if event.window == max(windows)]
    assert {event.shots for event in last} == {1}, "once the end is seen, the number of shots is known"
