from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.pipeline import translate
from pnpvideo.report import content_hash
from pnpvideo.settings.options import Options
from pnpvideo.sidecar import read_sidecar
from pnpvideo.store import Store
from pnpvideo.student.clip import ClipStudent, Lesson, learn, translate_clip
from pnpvideo.student.train import Recipe
from pnpvideo.video.ffmpeg import run
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read

from .conftest import pictures


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two shots of 9 frames of 64 x 64 pixels, with sound."""
    path = tmp_path / "clip.mp4"
    graph = "testsrc2=size=64x64:rate=10:d=0.9[a];mandelbrot=size=64x64:rate=10,trim=duration=0.9[b];[a][b]concat"
    sources = ["-filter_complex", graph, "-f", "lavfi", "-i", "sine=duration=1.8"]
    status, said = run([*sources, "-c:v", "libx264", "-crf", "5", "-c:a", "aac", str(path)], 30)
    assert status == 0, said
    return path


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options.from_flat({"source_prompt": "a ball", "steps": 2, "store": tmp_path / "store"})


@pytest.fixture
def how(recipe: Recipe) -> ClipStudent:
    weights = replace(recipe.weights, adversarial=0)
    quick = replace(recipe, weights=weights, drawing=replace(recipe.drawing, mirror=False))
    return ClipStudent(every=4, check_every=2, least_psnr=0, recipe=quick)


def test_frames_times_and_sound_stay_and_only_keyframes_go_through_the_engine(
    backend: StableDiffusion, clip: Path, options: Options, how: ClipStudent, tmp_path: Path
) -> None:
    events: list[Event] = []
    result = translate_clip(clip, "a fox", tmp_path / "out.mp4", options, how, backend=backend, report=events.append)
    before, after = probe(clip), probe(result.output)
    assert (after.frames, after.fps, after.width) == (before.frames, before.fps, 64) and after.audio
    facts = result.report["student"]
    assert facts["held_back"] == 1 and facts["steps"] == 6 and facts["psnr"] > 0
    encoded = [event for event in events if isinstance(event, Progress) and event.stage == "encode" and event.done]
    assert len(encoded) == facts["keyframes"] < 18


def test_report_and_sidecar_are_those_of_a_translation_and_name_the_student(
    backend: StableDiffusion, clip: Path, options: Options, how: ClipStudent, tmp_path: Path
) -> None:
    (tmp_path / "out.mp4").touch()
    (tmp_path / "out.mp4.json").write_text('{"format": "pnpvideo run 1", "prompt": "former"}', "utf-8")
    chosen = options.changed({"guidance": 3.0, "overwrite": True})
    result = translate_clip(clip, "a fox", tmp_path / "out.mp4", chosen, how, backend=backend)
    read = read_sidecar(tmp_path / "out.mp4.json")
    assert (read.input, read.prompt, read.values["guidance"]) == (clip, "a fox", 3.0)
    assert read.facts["output_sha256"] == content_hash(tmp_path / "out.mp4") == result.report["output_sha256"]
    assert read.facts["student"] == result.report["student"] and " --student " in read.facts["command"]
    assert read.facts["resolved"]["coherence"] == "joint" and read.facts["origins"]["coherence"] == "student"
    translate_clip(clip, "a hen", tmp_path / "out.mp4", chosen.changed({"sidecar": False}), how, backend=backend)
    assert not (tmp_path / "out.mp4.json").exists()


def test_what_a_student_does_not_use_is_said_and_the_store_is_kept_within_its_limit(
    backend: StableDiffusion, clip: Path, options: Options, how: ClipStudent, tmp_path: Path
) -> None:
    said: list[Event] = []
    unused = {"coherence": "none", "preview_every": 1, "memory": 10**9, "captioner": str(tmp_path)}
    chosen = options.changed({**unused, "store_limit": 0})
    chosen = replace(chosen, origins={**chosen.origins, **dict.fromkeys(unused, "flag")})
    translate_clip(clip, "a fox", tmp_path / "out.mp4", chosen, how, backend=backend, report=said.append)
    messages = [event.message for event in said if isinstance(event, Notice)]
    for name in unused:
        assert any(message.startswith(f"{name} is set, and has no effect: ") for message in messages), name
    assert Store(tmp_path / "store").list() == []


def test_a_student_is_trained_where_the_model_is(how: ClipStudent) -> None:
    """The device without contents stands in for a GPU: on it, the first look at a value fails."""
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        learn(lesson(5, (2,)), how, device="meta")


def test_a_student_that_is_worse_than_stated_is_not_used(
    backend: StableDiffusion, clip: Path, options: Options, how: ClipStudent, tmp_path: Path
) -> None:
    """The output is the engine's, bit for bit."""
    events: list[Event] = []
    strict = replace(how, least_psnr=99)
    translate_clip(clip, "a fox", tmp_path / "out", options, strict, backend=backend, report=events.append)
    translate(clip, "a fox", tmp_path / "plain", options, backend=backend)
    ours, plain = (list(read(tmp_path / name).frames()) for name in ("out", "plain"))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(ours, plain, strict=True))
    (message,) = [event.message for event in events if isinstance(event, Notice) and "dB" in event.message]
    assert "less than 99; all frames are translated by the engine instead" in message


def test_the_model_is_changed_as_without_a_student(clip: Path, options: Options, tmp_path: Path) -> None:
    changed = options.changed({"vae": tmp_path / "no-vae"})
    with pytest.raises(ModelError, match="no-vae"):
        translate_clip(clip, "a fox", tmp_path / "out.mp4", changed)


@pytest.mark.parametrize(
    "changes", [{"mask": "mask.png"}, {"keep_background": True, "change": ("ball", "fox")}, {"generate": True}]
)
def test_what_a_student_cannot_follow_is_refused(
    changes: dict[str, Any], clip: Path, options: Options, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="a clip's student takes no mask, keep_background or generate"):
        translate_clip(clip, "a fox", tmp_path / "out.mp4", options.changed(changes))


def lesson(count: int, held_back: tuple[int, ...]) -> Lesson:
    source = pictures(count)
    return Lesson(source, 255 - source, held_back, None)


def test_held_back_keyframes_are_not_learned() -> None:
    examples = lesson(5, (2,)).examples()
    assert np.array_equal(examples.source, pictures(5)[[0, 1, 3, 4]])
    assert np.array_equal(examples.target, 255 - pictures(5)[[0, 1, 3, 4]])


def test_training_stops_where_the_held_back_keyframe_gains_no_more(how: ClipStudent) -> None:
    """At a rate of nothing, nothing is ever gained: the first look counts, and two more are waited for."""
    idle = replace(how, patience=2, recipe=replace(how.recipe, rate=0.0, steps=100))
    _, score, steps = learn(lesson(5, (2,)), idle)
    assert steps == 6 and score is not None
    _, none, all_steps = learn(lesson(5, ()), replace(idle, recipe=replace(idle.recipe, steps=10)))
    assert none is None and all_steps == 10


def test_the_best_student_is_returned_and_not_the_last(how: ClipStudent) -> None:
    """At a rate that ruins it later, the student is that of the best look."""
    from pnpvideo.student.clip import _score

    wild = replace(how, patience=99, recipe=replace(how.recipe, rate=0.05, steps=30))
    network, score, _ = learn(lesson(5, (2,)), wild)
    assert score is not None and _score(network, lesson(5, (2,))) == pytest.approx(score)


def test_a_distance_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="every is 0; accepted is a whole number from 1"):
        ClipStudent(every=0)
