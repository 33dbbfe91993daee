"""The sample clips match captions.json and the renderer."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.miniature.art.names import held_out_names
from pnpvideo.miniature.world import Instant, Scene, trace_gbuffer
from pnpvideo.miniature.world.geometry import FIRST_THING
from pnpvideo.video.pixels import psnr
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read
from samples import demo, drawings
from samples.clips import FOLDER, SAMPLES, SIZE, Sample, SampleShot
from samples.render import main, pictures

each = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
MOST_BYTES = 300_000


@each
def test_clip_is_as_described(sample: Sample) -> None:
    words = json.loads((FOLDER / "captions.json").read_text(encoding="utf-8"))
    assert list(words) == [known.name for known in SAMPLES]
    stated = words[sample.name]
    assert stated == json.loads(json.dumps(sample.description()))
    found = probe(sample.path())
    assert (found.width, found.height, found.fps) == (SIZE, SIZE, 12)
    assert found.frames == stated["frames"]
    assert 16 <= found.frames <= 48
    assert found.drawings == stated["drawings"]
    assert [[span.start, span.end] for span in found.shots] == stated["shots"]


@each
def test_truth_has_the_same_frames_and_times(sample: Sample) -> None:
    source, truth = (list(read(sample.path(truth)).frames()) for truth in (False, True))
    assert [frame.pts_seconds for frame in source] == [frame.pts_seconds for frame in truth]
    assert [frame.pixels.shape for frame in source] == [frame.pixels.shape for frame in truth]
    assert min(psnr(a.pixels, b.pixels) for a, b in zip(source, truth, strict=True)) < 25, "the styles must differ"


@each
def test_files_are_small(sample: Sample) -> None:
    assert sample.path().stat().st_size <= MOST_BYTES
    assert sample.path(truth=True).stat().st_size <= MOST_BYTES


@each
def test_all_parts_have_one_caption_and_everything_stays_in_frame(sample: Sample) -> None:
    alone = [Sample(name=sample.name, note="", shots=(shot,)).description() for shot in sample.shots]
    assert len({(str(words["source_prompt"]), str(words["prompt"])) for words in alone}) == 1
    for shot in sample.shots:
        ids = trace_gbuffer(shot.instants(), 64).ids.reshape(-1, 64, 64)
        border = np.concatenate([ids[:, 0], ids[:, -1], ids[:, :, 0], ids[:, :, -1]])
        assert border.max() < FIRST_THING
        for slot in range(len(shot.scene.things)):
            seen = (ids == FIRST_THING + slot).sum((1, 2))
            assert seen.min() >= 64, f"thing {slot} fills only {int(seen.min())} of 4096 pixels"


@pytest.mark.parametrize(("style", "truth"), [("cartoon", False), ("photo", True)])
@each
def test_rendering_anew_gives_the_committed_frames(sample: Sample, style: str, truth: bool) -> None:
    last = sample.shots[-1]
    moment = last.instants()[1]
    frozen = Sample(name=sample.name, note="", shots=(SampleShot(scene=_at(last.scene, moment), drawings=2),))
    fresh = pictures(frozen, style)[0]
    at = sample.frames - last.drawings * last.hold + last.hold
    decoded = list(read(sample.path(truth)).frames())[at].pixels
    assert psnr(fresh, decoded) >= 30
    assert np.array_equal(fresh, pictures(frozen, style)[0])


def _at(scene: Scene, instant: Instant) -> Scene:
    """``scene`` stopped at ``instant``."""
    return replace(scene, things=instant.things, camera=instant.camera, motions=("still",))


def test_the_renderer_refuses_an_unknown_name() -> None:
    with pytest.raises(SystemExit, match="no sample is called nothing; there are: ball"):
        main(["nothing"])


@pytest.mark.parametrize("script", sorted(FOLDER.glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_numbered_examples_name_samples_and_captions_that_exist(script: Path) -> None:
    words = json.loads((FOLDER / "captions.json").read_text(encoding="utf-8"))
    nodes = list(ast.walk(ast.parse(script.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    used = [name for name in words if f"{name}.mp4" in texts]
    assert len(used) == 1
    shown = words[used[0]]["source_prompt"]
    edits = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "pnpvideo.edit"]
    if edits:
        assert ast.literal_eval(edits[0].args[1])[0] in shown.split()
    else:
        assert {shown, words[used[0]]["prompt"]} <= texts


@pytest.mark.parametrize("name", drawings.CLIPS)
def test_a_drawn_clip_is_as_described(name: str) -> None:
    stated = json.loads((FOLDER / "drawings.json").read_text(encoding="utf-8"))
    assert stated == json.loads(json.dumps({sample: drawings.description(sample) for sample in drawings.CLIPS}))
    found = probe(FOLDER / f"{name}.mp4")
    assert (found.width, found.height, found.fps, found.frames) == (SIZE, SIZE, 12, stated[name]["frames"])
    assert (FOLDER / f"{name}.mp4").stat().st_size <= MOST_BYTES
    assert "MIT License" in (FOLDER / "drawings.LICENSE").read_text(encoding="utf-8")
    assert drawings.CLIPS[name] in {held_out.text for held_out in held_out_names()}


def test_demo_reports_a_missing_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "no-model"
    assert demo.main(["--model", str(missing), "--out", str(tmp_path / "out")]) == 4
    assert "no-model" in capsys.readouterr().err
    assert not (tmp_path / "out" / "demo.mp4").exists()


@pytest.mark.slow
def test_demo_of_a_drawn_clip_has_no_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--name", "fish", "--steps", "1", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "translated 24 frames in " in said and "PSNR" not in said
    assert len(list(read(tmp_path / "demo.mp4").frames())) == 24
    assert 2 * SIZE < np.asarray(Image.open(tmp_path / "demo.png")).shape[0] < 3 * SIZE


@pytest.mark.slow
def test_demo_writes_clip_sheet_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--steps", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "translated 16 frames, 16 drawings, in " in said
    assert "PSNR to the ground truth: source " in said
    assert str(tmp_path / "demo.mp4") in said and str(tmp_path / "demo.png") in said
    assert len(list(read(tmp_path / "demo.mp4").frames())) == 16
    sheet = np.asarray(Image.open(tmp_path / "demo.png"))
    assert sheet.shape[0] > 3 * SIZE and sheet.shape[1] > 6 * SIZE
    page = (tmp_path / "demo.html").read_text("utf-8")
    assert (tmp_path / "demo.html").as_uri() in said
    assert "ball.truth.mp4" in page and "Agreement with the prompt" in page and "How they were made" in page
