"""ControlNets through the whole engine: conditions by frame, held drawings, windows, keys, and what options say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diffusers import UNet2DConditionModel
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.engine.anchors import NO_ANCHORS, Anchors
from pnpvideo.engine.control import conditions_of, control_edits, effort, load_controls, steered_footprint
from pnpvideo.engine.estimate import Estimate, Size
from pnpvideo.engine.plan import plan
from pnpvideo.engine.run import Run
from pnpvideo.errors import OptionError
from pnpvideo.events import ignore
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.translator import Translator
from pnpvideo.video.read import read
from tests.controlnets import write_controlnet

Make = Callable[..., Path]
MakeOptions = Callable[..., Options]
FRAMES = 4


@pytest.fixture(scope="module")
def net(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = UNet2DConditionModel.from_pretrained(checkpoint / "unet")
    return write_controlnet(tmp_path_factory.mktemp("control") / "net", network)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder of FRAMES frames, one shot: a square that moves, and of which the second frame holds the first one's."""
    pictures = np.full((FRAMES, 32, 32, 3), (150, 200, 235), np.uint8)
    for left, picture in zip((4, 4, 8, 12), pictures, strict=True):
        picture[10:20, left : left + 10] = (220, 60, 50)
    return folder(tmp_path / "clip", pictures)


def folder(path: Path, pictures: np.ndarray) -> Path:
    path.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"{number:03}.png")
    return path


def noise(seed: int, frames: int = FRAMES, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, side, side, 3), np.uint8)


class Translations:
    """Translate the clip into folders of frames; returns the frames."""

    def __init__(self, clip: Path, net: Path, options: MakeOptions, backend: StableDiffusion, root: Path) -> None:
        self.clip, self.net, self.options, self.backend, self.root = clip, net, options, backend, root
        self.count = 0

    def __call__(self, control: Any = None, **given: Any) -> np.ndarray:
        self.count += 1
        controls = {}
        if control is not None:
            controls = {"control": ((str(control), given.pop("scale", 1.0)),), "controlnet": (str(self.net),)}
        usual = {"coherence": "none", "steps": 1, "method": "sdedit", "strength": 1.0, "sidecar": False}
        options = self.options(**{**usual, **controls, **given})
        made = translate(self.clip, "a fox", self.root / f"out{self.count}", options, backend=self.backend)
        return np.stack([frame.pixels for frame in read(made.output).frames()])


@pytest.fixture
def translated(clip: Path, net: Path, options: MakeOptions, backend: StableDiffusion, tmp_path: Path) -> Translations:
    return Translations(clip, net, options, backend, tmp_path)


def differing(a: np.ndarray, b: np.ndarray) -> list[int]:
    return [number for number in range(len(a)) if not np.array_equal(a[number], b[number])]


def test_a_scale_of_0_changes_nothing(translated: Translations) -> None:
    plain = translated()
    assert differing(plain, translated("canny", scale=0.0)) == []
    assert differing(plain, translated("canny")) == [0, 1, 2, 3]


@pytest.mark.parametrize("method", ["pnp", "pix2pix-zero", "flowedit"])
def test_every_method_is_steered(method: str, translated: Translations) -> None:
    given = {"method": method, "steps": 1, "source_prompt": "a hen"}
    free, steered = (translated(control, **given) for control in (None, "tile"))
    assert len(differing(free, steered)) == FRAMES


def test_a_condition_belongs_to_its_frame(translated: Translations, tmp_path: Path) -> None:
    first = noise(2)
    first[1] = first[0]
    other = first.copy()
    other[2] = 255 - other[2]
    one, two = folder(tmp_path / "one", first), folder(tmp_path / "two", other)
    a = translated(one)
    assert differing(a, translated(two)) == [2]
    assert np.array_equal(a[0], a[1])  # the drawing is held, and so is its condition


def test_a_condition_that_moves_while_a_drawing_is_held_is_followed(translated: Translations, tmp_path: Path) -> None:
    moving = folder(tmp_path / "moving", noise(3))
    made = translated(moving)
    assert not np.array_equal(made[0], made[1])
    planned = plan(
        translated.clip, translated.options(control=((str(moving), 1.0),), controlnet=(str(translated.net),))
    )
    assert (planned.drawings, planned.frames) == (FRAMES, FRAMES)


def test_windows_of_a_long_shot_are_one(translated: Translations, tmp_path: Path) -> None:
    """Without coherence nothing crosses a window, so the conditions alone could differ."""
    moving = folder(tmp_path / "moving", noise(3))
    whole, parts = translated(moving, window=48), translated(moving, window=1)
    assert np.abs(whole.astype(int) - parts).max() <= 1


def test_anchors_keep_their_conditions(translated: Translations, tmp_path: Path) -> None:
    """A later window attends to the first one's drawings, which follow what they followed there."""
    one, two = (Anchors((0.0,), conditions=(noise(seed, 1),)) for seed in (1, 2))
    own = (noise(3, 2),)
    (all_of_them,) = Anchors.joined([one, two]).with_conditions(own)
    assert np.array_equal(all_of_them, np.concatenate([*one.conditions, *two.conditions, *own]))
    assert NO_ANCHORS.with_conditions(own) is own
    first = noise(4)
    other = first.copy()
    other[0] = 255 - other[0]
    paths = folder(tmp_path / "one", first), folder(tmp_path / "two", other)
    made = [translated(each, coherence="joint", keyframe_every=1, window=1, steps=2, scale=4.0) for each in paths]
    assert 3 in differing(*made)


def test_a_still_is_followed_by_all_frames_and_scaled(translated: Translations, tmp_path: Path) -> None:
    Image.fromarray(noise(5, 1, 64)[0]).save(tmp_path / "still.png")
    assert len(differing(translated(), translated(tmp_path / "still.png"))) == FRAMES


def test_frames_that_do_not_match_are_refused_before_any_work(translated: Translations, tmp_path: Path) -> None:
    short = folder(tmp_path / "short", noise(6, 3))
    with pytest.raises(OptionError, match=r"fewer frames than the input.*\(3 frames, and 4 are needed\)"):
        translated(short)
    assert not (tmp_path / "out1").exists()


def test_canny_is_opencvs_at_the_working_size(net: Path, options: MakeOptions, backend: StableDiffusion) -> None:
    run = Run.of(backend, options(control=(("canny", 1.0),), controlnet=(str(net),)), Store(), ignore)
    pixels = noise(7, 2, 48)
    (found,) = conditions_of(run.controls, pixels)
    assert found.shape == (2, 48, 48, 3)
    assert all(np.array_equal(found[n, ..., c], cv2.Canny(pixels[n], 100, 200)) for n in (0, 1) for c in range(3))
    (edit,) = control_edits(run.controls, (found,))
    assert edit.needs_source(None, (0,)) is False  # type: ignore[arg-type]


def test_a_stored_run_is_known_by_its_control(translated: Translations, tmp_path: Path) -> None:
    """The same store serves all of them, and a result never depends on what another one left there."""
    one, two = folder(tmp_path / "one", noise(8)), folder(tmp_path / "two", noise(9))
    settings: list[tuple[Any, dict[str, Any]]] = [
        (one, {}),
        (two, {}),
        (one, {"scale": 0.5}),
        (one, {"steps": 2, "control_span": ((0.0, 0.5),)}),
    ]
    together = [translated(control, **given) for control, given in settings]
    alone = [translated(control, store=tmp_path / f"{n}", **given) for n, (control, given) in enumerate(settings)]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    assert len(differing(together[0], together[1])) == FRAMES


def test_estimates_count_the_control(net: Path, options: MakeOptions, backend: StableDiffusion) -> None:
    plain = options(coherence="none", steps=2)
    steered = options(coherence="none", steps=2, control=(("canny", 1.0),), controlnet=(str(net),))
    half = options(
        coherence="none", steps=2, control=(("canny", 1.0),), controlnet=(str(net),), control_span=((0.0, 0.5),)
    )
    efforts = [Estimate.of(backend, each).work([Size(5)]) for each in (plain, half, steered)]
    assert efforts[0].effort < efforts[1].effort < efforts[2].effort
    assert len({each.evaluations for each in efforts}) == 1
    controls = load_controls(backend, steered.control)
    held, more = backend.footprint(32, 32), steered_footprint(backend, controls, (32, 32))
    weights = sum(value.nbytes for value in controls[0].network.network.parameters())
    assert more.weights == held.weights + weights and more.call > held.call
    assert steered_footprint(backend, (), (32, 32)) == held
    assert effort(controls, 0, 2) == pytest.approx(0.5)
    assert backend.controlnets([str(net)])[0] is controls[0].network  # loaded once


def test_frames_in_memory_take_what_is_made_from_them(net: Path, backend: StableDiffusion, tmp_path: Path) -> None:
    import pnpvideo

    frames = noise(10, 2)
    translator = Translator(backend, pnpvideo.Runtime(store=tmp_path / "store"))
    groups: dict[str, Any] = {
        "sampling": pnpvideo.Sampling(steps=1, size=32),
        "method": pnpvideo.SDEdit(strength=1.0),
        "prompts": pnpvideo.Prompts(source_prompt=""),
    }
    edges = pnpvideo.Control(control=(("canny", 1.0),), controlnet=(str(net),))
    free = translator.translate_frames(frames, "a fox", **groups)
    assert not np.array_equal(free, translator.translate_frames(frames, "a fox", control=edges, **groups))
    Image.fromarray(frames[0]).save(tmp_path / "pose.png")
    brought = pnpvideo.Control(control=((str(tmp_path / "pose.png"), 1.0),), controlnet=(str(net),))
    with pytest.raises(OptionError, match="a control from a file"):
        translator.translate_frames(frames, "a fox", control=brought, **groups)
