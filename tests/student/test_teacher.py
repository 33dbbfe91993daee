import json
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.events import Event, Notice
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.student.pairs import Taught
from pnpvideo.student.teacher import EngineTeacher, exchanged, overlap_of, thing_mask
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer
from pnpvideo.words.direction import direction_from_templates
from pnpvideo.words.direction_file import save_direction

from .conftest import pictures


@pytest.fixture
def quick(tmp_path: Path) -> Options:
    return Options.from_flat({"source_prompt": "a ball", "steps": 2, "store": tmp_path / "store"})


def test_the_teacher_does_what_translate_does_with_a_still(
    backend: StableDiffusion, quick: Options, tmp_path: Path
) -> None:
    picture = pictures(1, (64, 64))[0]
    taught = EngineTeacher(backend, quick, "a fox")(picture)
    with Writer(tmp_path / "in.png", ClipInfo(path=None, kind="still", width=64, height=64, frames=1)) as writer:
        writer.append(picture, 0)
    translate(tmp_path / "in.png", "a fox", tmp_path / "out.png", quick, backend=backend)
    (frame,) = read(tmp_path / "out.png").frames()
    assert np.array_equal(taught.pixels, frame.pixels)
    assert (taught.text, taught.source_text) == ("a fox", "a ball")


def test_of_a_change_the_text_has_the_new_concept(backend: StableDiffusion, quick: Options) -> None:
    options = quick.changed({"change": ("ball", "fox")})
    assert EngineTeacher(backend, options, None)(pictures(1, (64, 64))[0]).text == "a fox"


@pytest.mark.parametrize(
    ("caption", "change", "wanted"),
    [
        ("a cartoon of a ball", ("cartoon", "photo"), "a photo of a ball"),
        ("A Cartoon of cartoons", ("cartoon", "photo"), "A photo of cartoons"),
        ("a ball", ("cube", "cone"), "a ball"),
        ("1+1 balls", ("1+1", r"\1 two"), r"\1 two balls"),
    ],
)
def test_whole_words_are_exchanged(caption: str, change: tuple[str, str], wanted: str) -> None:
    assert exchanged(caption, change) == wanted


def test_a_notice_comes_once(backend: StableDiffusion, quick: Options) -> None:
    events: list[Event] = []
    teacher = EngineTeacher(backend, quick.changed({"negative": "a " * 200}), "a fox", events.append)
    for picture in pictures(2, (64, 64)):
        teacher(picture)
    messages = [event.message for event in events if isinstance(event, Notice)]
    assert len(messages) == len(set(messages)) and all(isinstance(event, Notice) for event in events)


def test_pairs_depend_on_what_changes_pictures_and_on_nothing_else(backend: StableDiffusion, quick: Options) -> None:
    recipe = EngineTeacher(backend, quick, "a fox").recipe()
    assert EngineTeacher(backend, quick.changed({"overwrite": True, "batch": 3}), "a fox").recipe() == recipe
    assert EngineTeacher(backend, quick.changed({"steps": 3}), "a fox").recipe() != recipe
    assert EngineTeacher(backend, quick, "a cat").recipe() != recipe


def test_pairs_depend_on_the_contents_of_files(backend: StableDiffusion, quick: Options, tmp_path: Path) -> None:
    """A direction, a mask or a captioner that is replaced at its place."""
    direction, mask, captioner = tmp_path / "d.safetensors", tmp_path / "mask.png", tmp_path / "captioner"
    save_direction(direction_from_templates(backend.text, "ball", "cube"), direction)
    mask.write_bytes(b"one")
    captioner.mkdir()
    (captioner / "config.json").write_text("{}")
    named = {"directions": ((str(direction), 1.0),), "mask": mask, "captioner": str(captioner)}
    teacher = EngineTeacher(backend, quick.changed(named), "a fox")
    recipes = [teacher.recipe(), teacher.recipe()]
    save_direction(direction_from_templates(backend.text, "ball", "tree"), direction)
    recipes.append(teacher.recipe())
    mask.write_bytes(b"two")
    recipes.append(teacher.recipe())
    (captioner / "config.json").write_text('{"model_type": "blip"}')
    recipes.append(teacher.recipe())
    assert recipes[0] == recipes[1]
    assert len({json.dumps(recipe, sort_keys=True) for recipe in recipes}) == 4


def test_masks_of_one_picture_overlap_wholly(backend: StableDiffusion) -> None:
    one, other = pictures(2, (64, 64))
    overlap = overlap_of(backend, "ball")
    taught = Taught(pixels=one, text="a fox", source_text="a ball")
    assert overlap(one, one, taught) == pytest.approx(1)
    found = overlap(one, other, taught)
    assert found is not None and 0 <= found < 1
    assert overlap(one, other, Taught(pixels=one, text="a fox", source_text="a cat")) is None


def test_a_mask_has_the_latents_size(backend: StableDiffusion) -> None:
    mask = thing_mask(backend, pictures(1, (64, 64))[0], "a ball", backend.text.positions("a ball", "ball"))
    assert mask.shape == backend.latent_shape(64, 64)[1:] and mask.min() >= 0 and mask.max() <= 1
