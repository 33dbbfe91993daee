"""Edits without a prompt, from input to output: directions, captions, masks, and what is refused."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.events import Event, Notice, Report
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.ffmpeg import executable
from pnpvideo.video.read import read
from pnpvideo.words.caption import Captioner
from pnpvideo.words.direction import direction_from_templates
from pnpvideo.words.direction_file import save_direction
from pnpvideo.words.script import DEFAULT_CAPTIONERS

Clips = Callable[..., Path]
MakeOptions = Callable[..., Options]


@pytest.fixture
def options(checkpoint: Path, tmp_path: Path) -> MakeOptions:
    def make(**given: Any) -> Options:
        usual = {"model": str(checkpoint), "store": tmp_path / "store", "steps": 2, "size": 64, "device": "cpu"}
        usual |= {"method": "pix2pix-zero", "source_prompt": "a hen", "change": ("hen", "fox"), "overwrite": True}
        return Options.from_flat({**usual, **given})

    return make


@pytest.fixture
def still(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def pixels(path: Path) -> np.ndarray:
    return np.stack([frame.pixels for frame in read(path).frames()])


@pytest.mark.parametrize("method", ["pix2pix-zero", "pnp", "sdedit"])
def test_a_direction_takes_the_place_of_a_prompt(
    method: str, still: Path, options: MakeOptions, tmp_path: Path
) -> None:
    """Composition, not a third method: any method reads the embedding that the direction has moved."""
    edited = pixels(translate(still, None, tmp_path / "a.png", options(method=method)).output)
    plain = pixels(translate(still, "a hen", tmp_path / "b.png", options(method=method, change=None)).output)
    assert edited.shape == plain.shape and not np.array_equal(edited, plain)


def test_a_files_direction_is_that_of_its_concepts(
    backend: StableDiffusion, still: Path, options: MakeOptions, tmp_path: Path
) -> None:
    file = tmp_path / "hen2fox.safetensors"
    save_direction(direction_from_templates(backend.text, "hen", "fox"), file)
    built = pixels(translate(still, None, tmp_path / "a.png", options()).output)
    halves = ((str(file), 0.75), (str(file), 0.25))
    read_back = pixels(translate(still, None, tmp_path / "b.png", options(change=None, directions=halves)).output)
    assert np.abs(built.astype(int) - read_back).max() <= 1
    nothing = options(change=None, directions=((str(file), 0.0),))
    zero = pixels(translate(still, None, tmp_path / "c.png", nothing).output)
    same = pixels(translate(still, "a hen", tmp_path / "d.png", options(change=None)).output)
    assert np.array_equal(zero, same)


def test_without_words_the_captioner_speaks(
    still: Path, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[np.ndarray] = []

    class Blip:
        def __init__(self, model: str, device: torch.device, report: Report) -> None:
            assert (model, device.type) == ("some/blip", "cpu")

        def captions(self, pictures: list[np.ndarray]) -> list[str]:
            seen.extend(pictures)
            return ["a hen"]

    monkeypatch.setattr("pnpvideo.words.script.Captioner", Blip)
    events: list[Event] = []
    asked = options(source_prompt=None, captioner="some/blip")
    captioned = translate(still, None, tmp_path / "a.png", asked, report=events.append)
    told = pixels(translate(still, None, tmp_path / "b.png", options()).output)
    assert np.array_equal(pixels(captioned.output), told)
    assert len(seen) == 1 and np.array_equal(seen[0], pixels(still)[0])
    assert captioned.report["texts"] == [{"source": "a hen", "prompt": "a hen", "negative": "a hen"}]
    assert json.dumps(captioned.report)
    assert "the input shows: 'a hen'" in [event.message for event in events if isinstance(event, Notice)]


def test_where_no_captioner_is_the_reason_is_told(
    still: Path, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried: list[str] = []

    def absent(model: str, device: torch.device, report: Report) -> Captioner:
        tried.append(model)
        raise ModelError("no captioner here")

    monkeypatch.setattr("pnpvideo.words.script.Captioner", absent)
    with pytest.raises(ModelError, match="no captioner here; or say what the input shows: --source-prompt"):
        translate(still, None, tmp_path / "a.png", options(source_prompt=None))
    events: list[Event] = []
    tried.clear()
    asked = options(source_prompt=None, change=None, method="pnp")
    result = translate(still, "a fox", tmp_path / "b.png", asked, report=events.append)
    assert result.report["texts"][0]["source"] == "" and tried == list(DEFAULT_CAPTIONERS)
    assert any("the empty caption is used" in event.message for event in events if isinstance(event, Notice))


def test_what_the_mask_keeps_is_the_source_to_the_bit(still: Path, options: MakeOptions, tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 24:56] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    free = pixels(translate(still, None, tmp_path / "a.png", options()).output)[0]
    kept = pixels(translate(still, None, tmp_path / "b.png", options(mask=tmp_path / "mask.png")).output)[0]
    source = pixels(still)[0]
    away = np.ones((64, 64), bool)
    away[8:56, 16:64] = False
    assert np.array_equal(kept[away], source[away])
    assert not np.array_equal(kept[24:40, 32:48], source[24:40, 32:48]) and not np.array_equal(kept, free)
    Image.new("L", (30, 30), 255).save(tmp_path / "white.png")
    white = pixels(translate(still, None, tmp_path / "c.png", options(mask=tmp_path / "white.png")).output)[0]
    assert np.array_equal(white, free)


def test_a_clip_has_a_mask_for_each_frame(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    source, folder = clip_of(3), tmp_path / "masks"
    folder.mkdir()
    for number in range(3):
        mask = np.zeros((64, 96), np.uint8)
        mask[:, : 48 if number % 2 else 0] = 255
        Image.fromarray(mask).save(folder / f"{number}.png")
    translate(source, None, tmp_path / "out", options(mask=folder))
    made, given = pixels(tmp_path / "out"), pixels(source)
    assert np.array_equal(made[0], given[0]) and np.array_equal(made[2], given[2])
    assert np.array_equal(made[1][:, 60:], given[1][:, 60:]) and not np.array_equal(made[1], given[1])
    (folder / "2.png").unlink()
    with pytest.raises(OptionError, match="fewer frames than the input; a still serves all"):
        translate(source, None, tmp_path / "other", options(mask=folder))
    assert not (tmp_path / "other").exists()


def test_a_damaged_clip_may_have_fewer_frames_than_its_mask(
    clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    whole, path, folder = clip_of(24), tmp_path / "cut.mp4", tmp_path / "masks"
    copied = [executable(), "-v", "error", "-i", str(whole), "-c", "copy", "-movflags", "+faststart", str(path)]
    subprocess.run(copied, check=True)
    path.write_bytes(path.read_bytes()[:-200])
    folder.mkdir()
    for number in range(24):
        Image.new("L", (96, 64), 0).save(folder / f"{number:02d}.png")
    given = options(mask=folder, allow_partial=True, steps=1)
    report = translate(path, None, tmp_path / "out", given).report
    assert 0 < report["frames"] < 24


def test_the_background_of_a_word_is_kept(
    backend: StableDiffusion, still: Path, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[int, list[int]]] = []

    def left(maps: list[torch.Tensor], tokens: list[int], height: int, width: int) -> torch.Tensor:
        asked.append((len(maps), list(tokens)))
        assert all(weights.shape[0] == 1 and weights.shape[3] == backend.text.length for weights in maps)
        assert {weights.shape[2] for weights in maps} == {64, 16, 4, 1}  # the latent is small: all of them
        mask = torch.zeros(1, 1, height, width)
        mask[..., : width // 2] = 1
        return mask

    monkeypatch.setattr("pnpvideo.engine.region.word_mask", left)
    given = options(keep_background=True, source_prompt="a hen")
    kept, source = pixels(translate(still, None, tmp_path / "a.png", given).output)[0], pixels(still)[0]
    assert len(asked) == 1 and asked[0][1] == [2, 3, 4]  # of the tokens of "a hen", one a letter after the start
    assert np.array_equal(kept[:, 40:], source[:, 40:]) and not np.array_equal(kept[:, :24], source[:, :24])
    with pytest.raises(OptionError, match=r"looks for 'hen', and the source prompt does not say it: 'a cow'"):
        translate(still, None, tmp_path / "b.png", options(keep_background=True, source_prompt="a cow"))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"change": ("hen",)}, "a pair of concepts"),
        ({"change": ("hen", " ")}, "a pair of concepts"),
        ({"directions": ("a.safetensors",)}, "a pair of a file and a strength"),
        ({"directions": (("a.safetensors", float("nan")),)}, "strength of the direction"),
        ({"regularize": 3}, "regularize is 3; accepted: 0"),
        ({"update": "other"}, "update is 'other'"),
        ({"cross_attention": -1.0}, "cross_attention is -1"),
        ({"mask": Path("m.png"), "keep_background": True}, "both given"),
        ({"change": None, "keep_background": True}, "say which, with a change"),
        ({"change_strength": float("inf")}, "change_strength is inf"),
        ({"placement": "end"}, "placement is 'end'"),
        ({"regularize": True}, "regularize is True"),
    ],
)
def test_options_that_make_no_edit(given: dict[str, Any], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        Options.from_flat({"change": ("hen", "fox"), **given})


def test_a_mask_of_a_span_has_all_frames_or_the_spans(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    source, made = clip_of(4), []
    for name, count in (("all", 4), ("span", 2)):
        (tmp_path / name).mkdir()
        for number in range(count):
            shown = number % 2 == 1
            Image.new("L", (96, 64), 255 if shown else 0).save(tmp_path / name / f"{number}.png")
        given = options(mask=tmp_path / name, frames=(2, 4))
        translate(source, None, tmp_path / f"out-{name}", given)
        made.append(pixels(tmp_path / f"out-{name}"))
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(made[0][0], pixels(source)[2]) and not np.array_equal(made[0][1], pixels(source)[3])


def test_a_mask_of_another_aspect_is_refused_before_the_model_is_read(
    still: Path, options: MakeOptions, tmp_path: Path
) -> None:
    Image.new("L", (64, 16), 255).save(tmp_path / "mask.png")
    with pytest.raises(OptionError, match="is 64 x 16, the input 64 x 64: give a mask of the same aspect"):
        translate(still, None, tmp_path / "a.png", options(mask=tmp_path / "mask.png", model="nowhere/none"))


def test_a_shot_without_what_changes_is_kept(
    clip_of: Clips, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two shots: one shows a hen, of the other the caption says a cow."""

    class Blip:
        def __init__(self, model: str, device: torch.device, report: Report) -> None: ...

        def captions(self, pictures: list[np.ndarray]) -> list[str]:
            return ["a hen" if pictures[0].mean() > 110 else "a cow"]

    monkeypatch.setattr("pnpvideo.words.script.Captioner", Blip)
    bright, folder = clip_of(2), tmp_path / "two"
    folder.mkdir()
    for number, frame in enumerate(pixels(bright)):
        Image.fromarray(frame).save(folder / f"{number}.png")
        Image.fromarray((255 - frame) // 3).save(folder / f"{number + 2}.png")
    events: list[Event] = []
    asked = options(source_prompt=None, captioner="some/blip", keep_background=True)
    result = translate(folder, None, tmp_path / "out", asked, report=events.append)
    assert result.report["shots"] == 2
    made, given = pixels(tmp_path / "out"), pixels(folder)
    assert not np.array_equal(made[:2], given[:2]) and np.array_equal(made[2:], given[2:])
    said = [event.message for event in events if isinstance(event, Notice) and "kept as it is" in event.message]
    assert len(said) == 1 and "'a cow'" in said[0]


def test_the_run_of_a_words_mask_is_found_again_however_its_pixels_come_out(
    still: Path, options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Threads and devices round differently; the run is known by the words."""
    runs: list[str] = []
    entry = Store.entry

    def noted(self: Store, kind: str, key: str, *about: Any) -> Any:
        if kind == "run":
            runs.append(key)
        return entry(self, kind, key, *about)

    monkeypatch.setattr(Store, "entry", noted)
    for shade in (0.5, 0.75):
        monkeypatch.setattr(
            "pnpvideo.engine.window.word_masks", lambda *_, shade=shade: torch.full((1, 1, 8, 8), shade)
        )
        translate(still, None, tmp_path / "a.png", options(keep_background=True))
    assert len(set(runs)) == 1


def test_neither_prompt_nor_direction_is_refused(still: Path, options: MakeOptions, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no prompt and no direction"):
        translate(still, None, tmp_path / "a.png", options(change=None))


def test_an_edit_of_a_clip_is_the_same_whatever_the_batch(clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    source = clip_of(3)
    made = []
    for batch in (1, 8):
        given = options(batch=batch, regularize=2, coherence="flow", keyframe_every=2, store=tmp_path / str(batch))
        translate(source, None, tmp_path / f"out{batch}", given)
        made.append(pixels(tmp_path / f"out{batch}").astype(int))
    assert np.abs(made[0] - made[1]).max() <= 1
    assert torch.is_grad_enabled()


def test_a_generated_picture_without_an_edit_is_itself(
    backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    file = tmp_path / "hen2fox.safetensors"
    save_direction(direction_from_templates(backend.text, "hen", "fox"), file)

    def drawn(strength: float, weight: float) -> np.ndarray:
        given = {"generate": True, "change": None, "guidance": 3.0, "directions": ((str(file), strength),)}
        return pixels(translate(None, None, tmp_path / "a.png", options(cross_attention=weight, **given)).output)

    plain = {"generate": True, "change": None, "guidance": 3.0, "method": "pnp", "feature_until": 0.0}
    asked = options(attention_until=0.0, negative="", **plain)
    itself = pixels(translate(None, "a hen", tmp_path / "b.png", asked).output)
    assert np.abs(drawn(0.0, 1e5).astype(int) - itself).max() <= 1
    assert not np.array_equal(drawn(1.0, 0.0), itself)
    assert not np.array_equal(drawn(1.0, 1e5), drawn(1.0, 0.0))  # the guidance does something


def test_a_regularised_inversion_serves_every_seed_and_goes_on_after_an_interruption(
    still: Path, options: MakeOptions, tmp_path: Path
) -> None:
    def run(name: str, **given: Any) -> tuple[bytes, str]:
        events: list[Event] = []
        output = translate(still, None, tmp_path / name, options(steps=4, **given), report=events.append).output
        said = "\n".join(event.message for event in events if isinstance(event, Notice))
        return pixels(output).tobytes(), said

    whole = run("whole.png", store=tmp_path / "other")
    stopped: list[int] = []

    class Stopped(Exception):
        pass

    def stop(event: Event) -> None:
        stopped.append(getattr(event, "stage", "") == "invert")
        if sum(stopped) == 3:  # the first event says that the stage begins
            raise Stopped

    with pytest.raises(Stopped):
        translate(still, None, tmp_path / "half.png", options(steps=4), report=stop)
    again = run("half.png")
    assert again[0] == whole[0] and "reusing 2 inversion steps" in again[1]
    assert "reusing 4 inversion steps" in run("seed.png", seed=5)[1]
    assert run("plain.png", regularize=0)[0] != whole[0]
    assert "reusing" not in run("one.png", regularize=1)[1]


def test_a_held_drawing_is_edited_anew_where_its_mask_changes(
    clip_of: Clips, options: MakeOptions, tmp_path: Path
) -> None:
    source, folder = clip_of(4, hold=4), tmp_path / "masks"
    folder.mkdir()
    for number in range(4):
        Image.new("L", (96, 64), 255 if number >= 2 else 0).save(folder / f"{number}.png")
    result = translate(source, None, tmp_path / "out", options(mask=folder))
    made, given = pixels(tmp_path / "out"), pixels(source)
    assert result.report["drawings"] == 2
    assert np.array_equal(made[:2], given[:2]) and not np.array_equal(made[2], given[2])
    Image.new("L", (96, 64), 255).save(folder / "4.png")
    with pytest.raises(OptionError, match="more frames than the input"):
        translate(source, None, tmp_path / "other", options(mask=folder))
    assert not (tmp_path / "other").exists()


def test_options_that_the_method_does_not_read_are_told(still: Path, options: MakeOptions, tmp_path: Path) -> None:
    def said(**given: Any) -> list[str]:
        events: list[Event] = []
        translate(still, None, tmp_path / "a.png", options(**given), report=events.append)
        return [event.message for event in events if isinstance(event, Notice) and "no effect" in event.message]

    assert said() == said(cross_attention=0.5) == []
    assert said(method="pnp", cross_attention=0.5) == ["cross_attention is set, and has no effect: the method is pnp"]
    assert len(said(strength=0.5, feature_until=0.0)) == 2  # not 0 for want of a value: 0 is one


def test_a_checkpoint_recommends_its_own_edit(
    checkpoint: Path, still: Path, options: MakeOptions, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(checkpoint, own)
    card = {"edit_guidance": 2.0, "edit_negative": "no {source}", "cross_attention": 9.0, "cross_attention_until": 0.5}
    (own / "pnpvideo.json").write_text(json.dumps(card))
    by_card = translate(still, None, tmp_path / "a.png", options(model=str(own)))
    said = options(guidance=2.0, negative="no {source}", cross_attention=9.0, cross_attention_until=0.5)
    told = translate(still, None, tmp_path / "b.png", said)
    assert np.array_equal(pixels(by_card.output), pixels(told.output))
    assert by_card.report["resolved"] | {"model": ""} == told.report["resolved"] | {"model": ""}
    assert by_card.report["origins"]["guidance"] == "checkpoint's card"
    assert by_card.report["texts"][0]["negative"] == "no a hen"
