"""One window through the engine, with a backend whose answers are known: pure, resumable, masked, anchored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.coherence.independent import Independent
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.trajectory import RecordedTrajectory
from pnpvideo.engine.anchors import NO_ANCHORS, Anchors, remembered_drawings, remembered_windows
from pnpvideo.engine.checkpoints import Checkpoints
from pnpvideo.engine.inversion import source_trajectory
from pnpvideo.engine.keys import run_key, source_key
from pnpvideo.engine.pictures import decode, encode
from pnpvideo.engine.recorder import SourceRecorder
from pnpvideo.engine.region import keep_source, latent_masks
from pnpvideo.engine.run import Run, Window
from pnpvideo.engine.sampling import sample_window
from pnpvideo.engine.window import translate_window
from pnpvideo.errors import DeviceError, NotFiniteError
from pnpvideo.events import Event, Progress
from pnpvideo.methods.method import Method
from pnpvideo.settings.options import Options, Sampling
from pnpvideo.settings.prompts import Prompts
from pnpvideo.store import Store
from pnpvideo.words.script import Script

MEANS = {"dusk": (-0.3, -0.2, 0.1), "noon": (0.1, 0.2, 0.0)}
PIXELS = np.random.default_rng(0).integers(60, 140, (3, 8, 8, 3), np.uint8)


class Scene:
    """A run and a window of it; ``events``: what the engine reports."""

    def __init__(
        self, folder: Path, steps: int = 3, stop: tuple[str, int] | None = None, solver: str = "ddim", **window: object
    ) -> None:
        self.events: list[Event] = []
        self.stop = stop
        backend = FakeBackend(MEANS)
        sampling = Sampling(steps=steps, guidance=1.0, solver=solver)
        options = Options(
            method=Method(), coherence=Independent(), prompts=Prompts(source_prompt="dusk"), sampling=sampling
        )
        self.run = Run.of(backend, options, Store(folder), self.listen)
        words = {name: backend.embed(text) for name, text in (("source", "dusk"), ("positive", "noon"), ("empty", ""))}
        self.window = Window(
            place=self.run.place(0, 0),
            pixels=PIXELS,
            times=(0.0, 0.1, 0.2),
            script=Script("dusk", "noon", "", words),
            guidance=self.run.guidance(False),
            noise=shot_noise((3, 8, 8), 0, 0),
            **window,  # type: ignore[arg-type]
        )

    def listen(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Progress) and (event.stage, event.done) == self.stop:
            raise KeyboardInterrupt

    def steps(self, stage: str) -> int:
        return sum(isinstance(event, Progress) and event.stage == stage and event.done > 0 for event in self.events)


def test_a_window_depends_on_its_arguments_alone(tmp_path: Path) -> None:
    first, again = Scene(tmp_path / "a"), Scene(tmp_path / "b")
    other = replace(again.window, pixels=255 - PIXELS)
    translate_window(again.run, other)
    one, two = translate_window(first.run, first.window), translate_window(again.run, again.window)
    assert np.array_equal(one.pictures, two.pictures) and one.run == two.run
    assert one.masks is None and one.anchors == NO_ANCHORS
    assert np.abs(one.pictures.astype(float) - PIXELS).mean() > 5


@pytest.mark.parametrize("solver", ["ddim", "2m", "rf"])
@pytest.mark.parametrize("stop", [("invert", 2), ("sample", 1), ("sample", 3)])
def test_an_interrupted_window_goes_on_where_it_stopped(stop: tuple[str, int], solver: str, tmp_path: Path) -> None:
    whole, broken = Scene(tmp_path / "a", solver=solver), Scene(tmp_path / "b", stop=stop, solver=solver)
    expected = translate_window(whole.run, whole.window).pictures
    with pytest.raises(KeyboardInterrupt):
        translate_window(broken.run, broken.window)
    again = Scene(tmp_path / "b", solver=solver)
    assert np.array_equal(translate_window(again.run, again.window).pictures, expected)
    both = [broken.steps(stage) + again.steps(stage) for stage in ("invert", "sample")]
    assert both == [whole.steps("invert"), whole.steps("sample")]


def test_outside_of_the_mask_the_source_stays(tmp_path: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 255
    scene = Scene(tmp_path, masks=(mask,) * 3)
    made = translate_window(scene.run, scene.window)
    assert np.array_equal(made.pictures[:, :, :4], PIXELS[:, :, :4])
    assert np.abs(made.pictures[:, :, 4:].astype(float) - PIXELS[:, :, 4:]).mean() > 5
    assert made.masks is not None and made.masks.shape == (3, 8, 8)
    small = latent_masks([mask], 4, 4)
    assert small.shape == (1, 1, 4, 4) and small.unique().tolist() == [0, 1]
    kept = keep_source(RecordedTrajectory([torch.zeros(1, 1, 4, 4)]), small)(torch.ones(1, 1, 4, 4), 0)
    assert torch.equal(kept, small)


def test_pictures_go_to_latents_and_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    latents = encode(scene.run, scene.window)
    assert latents.shape == (3, 3, 8, 8) and np.array_equal(decode(scene.run, scene.window, latents), PIXELS)
    assert scene.steps("encode") == scene.steps("decode") == 3 and set(scene.run.timings) == {"encode", "decode"}


def test_a_key_names_what_its_result_depends_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    run, window = scene.run, scene.window
    known = source_key(run, window)
    assert source_key(Scene(tmp_path, solver="rf").run, window) != source_key(Scene(tmp_path, solver="2m").run, window)
    assert source_key(run, replace(window, pixels=PIXELS + 1)) != known
    assert source_key(run, replace(window, times=(0.0, 1.0, 2.0))) == known  # an inversion knows no times
    key = run_key(run, window, known, None)
    assert run_key(run, replace(window, times=(0.0, 1.0, 2.0)), known, None) != key
    assert run_key(run, window, known, torch.ones(1)) != key != run_key(run, window, "another", None)


def test_a_step_that_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.run.store.entry("run", "key") as entry:
        steps = Checkpoints(entry, "sample", scene.run, scene.window)
        with pytest.raises(DeviceError, match="NaN or infinity at sample step 2"), steps.kept(0) as keep:
            keep(1, {"one": ({"x": torch.ones(2)}, {})})
            keep(2, {"two": ({"x": torch.tensor([float("nan")])}, {})})
        assert entry.get("two") is None


def test_where_a_result_is_not_finite_is_named(tmp_path: Path) -> None:
    window = Scene(tmp_path).window
    with pytest.raises(NotFiniteError, match="sample, step 2 of 5, shot 1: it broke"), window.located("sample", 2, 5):
        raise NotFiniteError("it broke")


def test_the_drawings_that_later_windows_attend_to(tmp_path: Path) -> None:
    assert remembered_drawings(True, 9) == (4, 8) and remembered_drawings(False, 9) == (8,)
    assert remembered_drawings(True, 1) == (0,)
    assert remembered_windows([], "a") == ["a"] and remembered_windows(["a", "b"], "c") == ["a", "c"]
    latents = {level: torch.full((1, 1, 2, 2), float(level)) for level in range(3)}
    one = Anchors((0.0,), RecordedTrajectory([latents[level] for level in range(3)]), latents, "one")
    both = Anchors.joined([one, one])
    assert len(both) == 2 and both.run == "one-one" and both.before(one.source).at(1).shape[0] == 3
    after = both.after_step(lambda x, level: x + 1)
    assert after is not None
    moved = after(torch.zeros(3, 1, 2, 2), 2)
    assert moved[:, 0, 0, 0].tolist() == [2, 2, 1]
    assert Anchors.joined([]) is NO_ANCHORS and NO_ANCHORS.after_step(None) is None
    x = torch.zeros(1, 1, 2, 2)
    assert NO_ANCHORS.started(x, 2) is x and NO_ANCHORS.before(one.source) is one.source


def test_without_recordable_edits_nothing_is_recorded(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert SourceRecorder.of(scene.run, scene.window, []) is None
    trajectory, key = source_trajectory(scene.run, scene.window, None, "key")
    latents, anchors = sample_window(scene.run, scene.window, trajectory, [], None, key)
    assert latents.shape == (3, 3, 8, 8) and not anchors
