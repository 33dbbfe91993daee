"""Trials share what they have in common, and give what a translation gives."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import UNet2DConditionModel
from PIL import Image

from pnpvideo.errors import OptionError
from pnpvideo.events import Event, Notice, Progress, ignore
from pnpvideo.explore.cells import Cell
from pnpvideo.explore.grid import Dial, span_cells
from pnpvideo.explore.trial import Trials
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.video.ffmpeg import executable
from tests.controlnets import write_controlnet

Clips = Callable[..., Path]


@pytest.fixture
def values(checkpoint: Path, tmp_path: Path) -> dict[str, Any]:
    """Options of a small, quick run, by flat name."""
    usual = {"model": str(checkpoint), "store": tmp_path / "store", "steps": 2, "size": 32, "device": "cpu"}
    return {**usual, "source_prompt": "a hen"}


@pytest.fixture
def still(tmp_path: Path) -> Path:
    picture = np.random.default_rng(1).integers(0, 256, (8, 12, 4), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    Image.fromarray(picture).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def test_the_source_is_inverted_once_for_all_cells(clip_of: Clips, values: dict[str, Any], calls: list[int]) -> None:
    trials = Trials(clip_of(9), Options(), ignore)
    cells = span_cells("a fox", values, [Dial.parse("guidance=1,2"), Dial.parse("attention-until=0,0.5,1")])
    outcomes = trials.run_all(cells)
    assert sum(calls) == sum(outcome.evaluations for outcome in outcomes)
    unguided = {(o.cell.values["guidance"], o.cell.values["attention_until"]): o.evaluations for o in outcomes}
    source_and_lane = 3 * 2  # frames, calls
    inversion = 3 * 2  # frames, steps
    assert unguided[1.0, 0.0] == 2 * source_and_lane + inversion
    assert unguided[1.0, 0.5] == 2 * source_and_lane
    assert unguided[1.0, 1.0] == source_and_lane  # its first step is that of the cell before
    assert unguided[2.0, 0.5] == 2 * (source_and_lane + 3)


def test_steps_that_cells_share_change_nothing(clip_of: Clips, values: dict[str, Any]) -> None:
    clip, dial = clip_of(4), Dial.parse("attention-until=0.5,0.9")
    together = Trials(clip, Options(), ignore, frames=2).run_all(span_cells("a fox", {**values, "steps": 4}, [dial]))
    for outcome in together:
        fresh = {**outcome.cell.values, "store": values["store"].with_name(f"store-{outcome.cell.number}")}
        alone = Trials(clip, Options(), ignore, frames=2).run(Cell(prompt="a fox", values=fresh))
        assert all(map(np.array_equal, outcome.pictures, alone.pictures))
        assert outcome.evaluations < alone.evaluations or outcome.cell.number == 1


def test_a_cell_that_was_tried_is_not_computed_again(clip_of: Clips, values: dict[str, Any], calls: list[int]) -> None:
    clip, (cell,) = clip_of(9), span_cells("a fox", values, [])
    first = Trials(clip, Options(), ignore).run(cell)
    calls.clear()
    again = Trials(clip, Options(), ignore).run(cell)
    assert calls == [] and again.evaluations == 0
    assert all(map(np.array_equal, first.pictures, again.pictures))


@pytest.mark.parametrize("more", [{}, {"method": "sdedit"}, {"mask": True}, {"steps": 3, "coherence": "joint"}])
def test_of_a_still_a_cell_is_what_a_translation_writes(
    more: dict[str, Any], still: Path, values: dict[str, Any], calls: list[int], tmp_path: Path
) -> None:
    if "mask" in more:
        Image.new("L", (72, 48), 128).save(tmp_path / "mask.png")
        more = {"mask": tmp_path / "mask.png"}
    cell = Cell(prompt="a fox", values={**values, **more})
    tried = Trials(still, Options(), ignore).run(cell)
    calls.clear()
    translate(still, "a fox", tmp_path / "out.png", cell.options())
    assert calls == []  # neither inverted nor sampled again
    with Image.open(tmp_path / "out.png") as written:
        assert np.array_equal(np.asarray(written), tried.pictures[0])


def test_frames_of_different_shots_do_not_see_each_other(values: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    scenes = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    for index in range(12):
        Image.fromarray(scenes[int(index >= 6)]).save(folder / f"{index:02d}.png")
    cell = Cell(prompt="a fox", values=values)
    both = Trials(folder, Options(), ignore, frames=(2, 8)).run(cell)
    alone = Trials(folder, Options(), ignore, frames=(8,)).run(cell)
    assert len(both.texts) == 2 and np.array_equal(both.pictures[1], alone.pictures[0])


def test_frames_of_a_shot_attend_to_each_other(clip_of: Clips, values: dict[str, Any]) -> None:
    clip = clip_of(9)
    cell, single = (Cell(prompt="a fox", values={**values, "coherence": name}) for name in ("flow", "none"))
    together = Trials(clip, Options(), ignore).run(cell)
    apart = Trials(clip, Options(), ignore).run(single)
    assert not np.array_equal(together.pictures[0], apart.pictures[0])


def test_progress_counts_cells_and_notices_come_once(still: Path, values: dict[str, Any]) -> None:
    events: list[Event] = []
    values = {**values, "seed": 3}  # has no effect, which is said
    Trials(still, Options(), events.append).run_all(span_cells("a fox", values, [Dial.parse("guidance=1,2,3")]))
    shares = [event.overall for event in events if isinstance(event, Progress) and event.stage == "cell"]
    known = [share for share in shares if share is not None]
    assert known == shares and known == sorted(known) and known[-1] == 1.0
    said = [event.message for event in events if isinstance(event, Notice)]
    assert len([message for message in said if "seed is set, and has no effect" in message]) == 1
    assert len([message for message in said if "reusing" in message]) == 1


def test_the_record_says_what_was_tried_on_what(clip_of: Clips, values: dict[str, Any]) -> None:
    clip = clip_of(9)
    trials = Trials(clip, Options(), ignore, frames=(4,))
    record = trials.record([trials.run(Cell(prompt="a fox", values=values))])
    assert record["input"] == str(clip) and len(record["input_sha256"]) == 64
    assert record["frames"] == [{"frame": 4, "seconds": 0.333333}]
    (cell,) = record["cells"]
    assert cell["texts"] == [{"source": "a hen", "prompt": "a fox", "negative": ""}]
    assert cell["evaluations"] > 0 and len(cell["model_fingerprint"]) == 64


def test_a_shot_is_captioned_as_a_translation_captions_it(values: dict[str, Any], tmp_path: Path) -> None:
    """By the middle drawing of its first window, which is not among the chosen frames."""
    clip = tmp_path / "ball.mp4"
    sample = Path(__file__).resolve().parents[2] / "samples/ball.mp4"
    command = [executable(), "-v", "error", "-i", f"file:{sample}", "-frames:v", "5", f"file:{clip}"]
    subprocess.run(command, check=True)
    captioner = Path(__file__).resolve().parents[2] / "pnpvideo/miniature/weights/captioner"
    values = {**values, "source_prompt": None, "captioner": str(captioner), "method": "sdedit", "steps": 1}
    tried = Trials(clip, Options(), ignore, frames=(0,)).run(Cell(prompt="a fox", values=values))
    whole = translate(clip, "a fox", tmp_path / "out.mp4", Options.from_flat(values))
    assert list(tried.texts) == whole.report["texts"] and tried.texts[0]["source"] != ""


def test_bad_weights_in_a_prompt_are_refused(still: Path, values: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="weight"):
        Trials(still, Options(), ignore).run(Cell(prompt="a (fox:900)", values=values))


def test_a_chosen_frame_follows_its_own_condition(
    clip_of: Clips, values: dict[str, Any], checkpoint: Path, tmp_path: Path
) -> None:
    net = write_controlnet(tmp_path / "net", UNet2DConditionModel.from_pretrained(checkpoint / "unet"))
    clip, (poses, others) = clip_of(4), (tmp_path / "poses", tmp_path / "others")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 96, 3), np.uint8)
    for folder, changed in ((poses, ()), (others, (0, 1, 3))):
        folder.mkdir()
        for number, picture in enumerate(pictures):
            Image.fromarray(255 - picture if number in changed else picture).save(folder / f"{number}.png")
    made = []
    for condition in (None, poses, others):
        steered = {} if condition is None else {"control": ((str(condition), 1.0),), "controlnet": (str(net),)}
        cell = Cell(prompt="a fox", values={**values, **steered, "steps": 1, "method": "sdedit", "strength": 1.0})
        made.append(Trials(clip, Options(), ignore, frames=[2]).run(cell).pictures[0])
    assert np.array_equal(made[1], made[2]) and not np.array_equal(made[0], made[1])
