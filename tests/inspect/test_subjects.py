"""Which frames of an input are looked into, and that they are inverted once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.engine.run import Run
from pnpvideo.errors import DeviceError, InputError, ModelError, OptionError
from pnpvideo.events import Event, Notice, Report, ignore
from pnpvideo.inspect.subjects import Subject, first_frames, network_in_use, new_run, some_frames, subjects
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.settings.options import Options, Runtime, Sampling
from pnpvideo.settings.prompts import Prompts
from pnpvideo.store import Store
from pnpvideo.video.read import read


def run(folder: Path, report: Report = ignore) -> Run:
    prompts, sampling = Prompts(source_prompt="dusk"), Sampling(steps=3, size=16)
    options = Options(prompts=prompts, sampling=sampling, runtime=Runtime(store=folder))
    return new_run(options, FakeBackend({"dusk": (-0.3, -0.2, 0.1)}), report)


def test_frames_are_evenly_spaced_or_named(clip_of: Callable[..., Path]) -> None:
    clip = read(clip_of(10))
    assert [frame.index for frame in some_frames(None, (), inputs=1)(clip)] == [1, 5, 8]
    assert [frame.index for frame in some_frames(None, (), inputs=2)(clip)] == [5]
    assert [frame.index for frame in some_frames(5, (), inputs=2)(clip)] == [1, 3, 5, 7, 9]
    assert [frame.index for frame in some_frames(None, (9, 0, 9), inputs=1)(clip)] == [0, 9]
    with pytest.raises(OptionError, match=r"no frame 10 in .*in\.mp4.*count from 0"):
        some_frames(None, (3, 10), inputs=1)(clip)


def test_the_first_frames_end_at_a_cut(tmp_path: Path, clip_of: Callable[..., Path]) -> None:
    assert [frame.index for frame in first_frames(4)(read(clip_of(9)))] == [0, 1, 2, 3]
    assert [frame.index for frame in first_frames(30)(read(Path("samples/cut.mp4")))] == [*range(12)]


def test_inputs_are_inverted_and_the_store_keeps_that(tmp_path: Path, clip_of: Callable[..., Path]) -> None:
    heard: list[Event] = []
    clips = [clip_of(4), clip_of(4, width=64, name="other.mp4")]
    with network_in_use(FakeBackend({})):
        found = subjects(run(tmp_path / "store", heard.append), clips, first_frames(2))
    assert [subject.name for subject in found] == ["in.mp4", "other.mp4"]
    assert [subject.pixels.shape for subject in found] == [(2, 16, 24, 3), (2, 16, 16, 3)]
    assert [subject.grid for subject in found] == [(16, 24), (16, 16)]
    assert found[0].facts() == {"input": "in.mp4", "frames": [0, 1], "size": [24, 16], "source_prompt": "dusk"}
    clean = torch.from_numpy(found[0].pixels).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(found[0].trajectory.at(0), clean)
    assert not any(isinstance(event, Notice) for event in heard)
    assert [entry.about["clip"] for entry in Store(tmp_path / "store").list()] == ["in.mp4", "other.mp4"]
    again = subjects(run(tmp_path / "store", heard.append), clips[:1], first_frames(2))
    assert isinstance(again[0], Subject) and np.array_equal(again[0].pixels, found[0].pixels)
    assert [event.message for event in heard if isinstance(event, Notice)] == [
        "reusing 3 inversion steps from the store"
    ]


def test_a_clip_without_the_frames_that_it_states_is_refused(tmp_path: Path, clip_of: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"in\.mp4 has fewer frames than it states"):
        subjects(run(tmp_path), [clip_of(3)], lambda clip: [])


def test_a_run_has_the_options_model_or_the_one_that_is_loaded(tmp_path: Path) -> None:
    backend = FakeBackend({})
    options = Options(runtime=Runtime(store=tmp_path), prompts=Prompts(source_prompt=""))
    assert new_run(options, backend, ignore).backend is backend
    with pytest.raises(ModelError, match="none"):
        new_run(replace(options, model=str(tmp_path / "none")), None, ignore)


def test_an_inspection_sees_all_levels_and_an_edit_those_of_its_method(tmp_path: Path) -> None:
    sampling = Sampling(steps=4)
    options = Options(method=PlugAndPlay(inversion_depth=0.5), sampling=sampling, runtime=Runtime(store=tmp_path))
    assert [new_run(options, FakeBackend({}), ignore, edits).schedule.steps for edits in (False, True)] == [4, 2]


def test_no_input_and_no_memory_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no input was given"):
        subjects(run(tmp_path), [], first_frames(1))
    with pytest.raises(DeviceError, match="memory is exhausted"), network_in_use(FakeBackend({})):
        raise MemoryError
