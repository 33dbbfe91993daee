"""The public verbs: one model for many calls, frames in memory, threads, and groups of options."""

import shutil
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pnpvideo
from pnpvideo import Independent, PlugAndPlay, Prompts, Region, Runtime, Sampling
from pnpvideo.backends import load as loading
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Event, Notice
from pnpvideo.settings.options import OptionGroups
from pnpvideo.translator import Translator
from pnpvideo.video.read import read

Clips = Callable[..., Path]
SAMPLING = Sampling(steps=1, size=32)
SEEN = Prompts(source_prompt="")


@pytest.fixture
def translator(backend: StableDiffusion, tmp_path: Path) -> Translator:
    return Translator(backend, Runtime(store=tmp_path / "store"))


def pictures(count: int, size: tuple[int, int] = (32, 32)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)


def test_frames_come_back_as_they_were_given(translator: Translator) -> None:
    given = pictures(3, (34, 40))
    array = translator.translate_frames(given, "a fox", prompts=SEEN, sampling=SAMPLING)
    tensor = translator.translate_frames(torch.from_numpy(given), "a fox", prompts=SEEN, sampling=SAMPLING)
    images = translator.translate_frames([*map(Image.fromarray, given)], "a fox", prompts=SEEN, sampling=SAMPLING)
    assert isinstance(array, np.ndarray) and array.shape == given.shape and not np.array_equal(array, given)
    assert isinstance(tensor, torch.Tensor) and np.array_equal(tensor.numpy(), array)
    assert all(isinstance(image, Image.Image) for image in images)
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), array)


def test_frames_in_memory_are_translated_as_those_of_a_folder(translator: Translator, tmp_path: Path) -> None:
    given = pictures(4)
    (tmp_path / "in").mkdir()
    for index, picture in enumerate(given):
        Image.fromarray(picture).save(tmp_path / "in" / f"{index}.png")
    translator.translate(tmp_path / "in", "a fox", tmp_path / "out", prompts=SEEN, sampling=SAMPLING)
    written = np.stack([frame.pixels for frame in read(tmp_path / "out").frames()])
    assert np.array_equal(written, translator.translate_frames(given, "a fox", prompts=SEEN, sampling=SAMPLING))


def test_a_stream_reads_no_more_than_its_windows_need(translator: Translator, tmp_path: Path) -> None:
    taken: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for index, picture in enumerate(np.repeat(pictures(1), 40, axis=0)):
            taken.append(index)
            yield np.roll(picture, index, axis=1)

    runtime = Runtime(store=tmp_path / "store", window=4)
    stream = translator.stream(
        frames(), "a fox", prompts=SEEN, sampling=SAMPLING, coherence=Independent(), runtime=runtime
    )
    assert taken == []
    first = next(stream)
    assert first.shape == (32, 32, 3) and len(taken) <= 16
    stream.close()
    assert len(taken) <= 16


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([], "there are no frames"),
        ([np.zeros((8, 8, 3), np.float32)], "frame 0 is float32"),
        ([np.zeros((8, 8), np.uint8)], "frame 0 is uint8 of shape"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)], "frame 1 is of shape"),
        (["a.png"], "frame 0 is str"),
    ],
)
def test_frames_that_are_none_are_an_error(frames: list[np.ndarray], complaint: str, translator: Translator) -> None:
    with pytest.raises(InputError, match=complaint):
        list(translator.stream(frames, "a fox", prompts=SEEN, sampling=SAMPLING))


def test_each_frame_of_a_stream_is_an_array_of_its_own(translator: Translator) -> None:
    """Also where frames show one drawing, which is translated once."""
    one, two = translator.stream(np.repeat(pictures(1), 2, 0), "a fox", prompts=SEEN, sampling=SAMPLING)
    assert np.array_equal(one, two)
    one[:] = 7
    assert not np.array_equal(one, two)


def test_frames_in_memory_keep_within_limits(translator: Translator, tmp_path: Path) -> None:
    runtime = Runtime(store=tmp_path / "store", store_limit=0)
    translator.translate_frames(pictures(1), "a fox", prompts=SEEN, sampling=SAMPLING, runtime=runtime)
    assert pnpvideo.Store(tmp_path / "store").list() == []
    with pytest.raises(OptionError, match=r"this needs .* at the least"):
        translator.translate_frames(pictures(1), "a fox", sampling=SAMPLING, runtime=Runtime(memory=1))


def test_frames_that_do_not_show_what_is_to_change_are_an_error(translator: Translator) -> None:
    region, prompts = Region(keep_background=True), Prompts(source_prompt="a hen", change=("fox", "hen"))
    with pytest.raises(OptionError, match="keep_background looks for 'fox'"):
        translator.translate_frames(pictures(1), "a hen", sampling=SAMPLING, region=region, prompts=prompts)


def test_what_was_settled_when_the_model_was_loaded_is_not_changed_by_a_call(translator: Translator) -> None:
    for given, named in ((Runtime(dtype="float16"), "dtype is float16"), (Runtime(compile=True), "compile is True")):
        with pytest.raises(OptionError, match=f"{named}, and the model is loaded with"):
            translator.stream(pictures(1), "a fox", runtime=given)
    translator.stream(pictures(1), "a fox", runtime=Runtime(device="cpu", dtype="float32"))  # as it is


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e-9, float("inf"), float("nan")])
def test_rates_that_no_clip_has_are_refused(fps: float, translator: Translator) -> None:
    with pytest.raises(OptionError, match=r"fps is .*; accepted is a number from"):
        list(translator.stream(pictures(1), "a fox", fps=fps, prompts=SEEN, sampling=SAMPLING))


def test_options_of_files_are_refused_for_frames_in_memory(translator: Translator) -> None:
    with pytest.raises(OptionError, match="belong to files"):
        translator.stream(pictures(1), "a fox", reading=pnpvideo.Reading(frames=(0, 1)))


def test_threads_share_one_model_and_get_the_same_results(
    checkpoint: Path, clip_of: Clips, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded: list[str] = []
    built = StableDiffusion.__init__

    def noted(self: StableDiffusion, model: str, *rest: object) -> None:
        loaded.append(model)
        built(self, model, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(StableDiffusion, "__init__", noted)
    source, outputs = clip_of(2), [tmp_path / f"{number}" for number in range(4)]
    own = shutil.copytree(checkpoint, tmp_path / "own")  # which no other test has loaded

    def work(output: Path) -> None:
        kept = Runtime(store=tmp_path / f"store-{output.name}", device="cpu")
        pnpvideo.translate(source, "a fox", output, model=own, prompts=SEEN, sampling=SAMPLING, runtime=kept)

    held = loading.load(str(own), Runtime(device="cpu"))
    threads = [threading.Thread(target=work, args=(output,)) for output in outputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == [str(own)] and held.size == 64
    found = [np.stack([frame.pixels for frame in read(output).frames()]) for output in outputs]
    assert all(np.array_equal(each, found[0]) for each in found)


def test_a_seed_that_changes_nothing_is_said(translator: Translator) -> None:
    events: list[Event] = []
    sampling = Sampling(steps=1, size=32, seed=3)
    chosen: OptionGroups = {"prompts": SEEN, "sampling": sampling, "coherence": Independent()}
    list(translator.stream(pictures(1), "a fox", report=events.append, **chosen))
    told = [event.message for event in events if isinstance(event, Notice)]
    assert any("seed is set, and has no effect" in message and "--fresh-noise" in message for message in told)
    events.clear()
    varied: OptionGroups = {**chosen, "method": PlugAndPlay(fresh_noise=0.3)}
    list(translator.stream(pictures(1), "a fox", report=events.append, **varied))
    assert not any(isinstance(event, Notice) and "no effect" in event.message for event in events)


def test_a_pipeline_of_diffusers_is_a_model(backend: StableDiffusion, translator: Translator) -> None:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=deepcopy(backend.vae),
        text_encoder=deepcopy(backend.text.encoders["text_encoder"]),
        tokenizer=backend.text.tokenizer,
        unet=deepcopy(backend.network),
        scheduler=DDIMScheduler.from_config(backend.scheduler_config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    processors = dict(pipeline.unet.attn_processors)
    given = pictures(2)
    chosen: OptionGroups = {"prompts": SEEN, "sampling": SAMPLING, "runtime": translator.runtime}
    found = pnpvideo.load(pipeline).translate_frames(given, "a fox", **chosen)
    assert np.array_equal(found, translator.translate_frames(given, "a fox", **chosen))
    assert all(pipeline.unet.attn_processors[name] is processor for name, processor in processors.items())
    again, other = pnpvideo.load(pipeline).backend, pnpvideo.load(pipeline).backend
    assert again.fingerprint == other.fingerprint
    with torch.no_grad():
        next(pipeline.unet.parameters()).add_(1.0)
    assert pnpvideo.load(pipeline).backend.fingerprint != again.fingerprint
    pipeline.vae = torch.nn.Identity()
    with pytest.raises(pnpvideo.ModelError, match="vae is Identity; accepted is a StableDiffusionPipeline"):
        pnpvideo.load(pipeline)


def test_a_library_call_prints_nothing_and_logs_its_notices(
    translator: Translator, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sampling = Sampling(steps=1, size=32, seed=3)
    chosen: OptionGroups = {"prompts": SEEN, "sampling": sampling, "coherence": Independent()}
    translator.translate_frames(pictures(1), "a fox", **chosen)
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records] == ["pnpvideo"] and "seed" in caplog.text


def test_the_store_is_kept_within_its_limit(checkpoint: Path, clip_of: Clips, tmp_path: Path) -> None:
    runtime = Runtime(store=tmp_path / "store", store_limit=0, device="cpu")
    pnpvideo.translate(
        clip_of(1), "a fox", tmp_path / "out", model=checkpoint, prompts=SEEN, sampling=SAMPLING, runtime=runtime
    )
    assert pnpvideo.Store(tmp_path / "store").list() == []


def test_an_edit_may_keep_the_background_of_its_change(translator: Translator, tmp_path: Path) -> None:
    missing, change, region = tmp_path / "missing.png", ("ball", "cube"), Region(keep_background=True)
    for edit in (translator.edit, pnpvideo.edit):
        with pytest.raises(InputError, match=r"missing\.png"):  # the options are accepted, and the input is read
            edit(missing, change, tmp_path / "out.png", region=region)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
def test_ten_thousand_frames_take_no_more_than_a_thousand(translator: Translator) -> None:
    """A drawing that is held, so that the network has little to do; frames, shots and windows are all there."""

    def taken() -> tuple[int, int]:
        status = Path("/proc/self/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return len(list(Path("/proc/self/fd").iterdir())), int(resident.split()[1]) // 1024

    picture = pictures(1)[0]
    frames = (picture for _ in range(10_000))
    files, mebibytes, count = 0, 0, 0
    for _ in translator.stream(frames, "a fox", prompts=SEEN, sampling=SAMPLING, coherence=Independent()):
        count += 1
        if count == 1_000:
            files, mebibytes = taken()
    later_files, later_mebibytes = taken()
    assert count == 10_000 and later_files <= files and later_mebibytes <= mebibytes + 16
