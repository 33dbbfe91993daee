"""Recorders see what edits see, and change nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.edits.cross_attention import attention_map
from pnpvideo.engine.run import Run
from pnpvideo.events import Event, Progress, ignore
from pnpvideo.injection import Kind, select
from pnpvideo.inspect.record import (
    AttentionRecorder,
    FeatureRecorder,
    Level,
    TokenRecorder,
    WordRecorder,
    each_level,
    levels_near,
    mean_attention,
    source_pass,
    token_at,
)
from pnpvideo.inspect.subjects import Subject, first_frames, subjects
from pnpvideo.settings.options import Options
from pnpvideo.store import Store


@pytest.fixture
def subject(backend: StableDiffusion, options: Callable[..., Options], clip_of: Callable[..., Path]) -> Subject:
    return subjects(run(backend, options()), [clip_of(3)], first_frames(3))[0]


def run(backend: StableDiffusion, options: Options) -> Run:
    return Run.of(backend, options, Store(options.runtime.store), ignore)


def test_levels_are_the_nearest_noisiest_first(backend: StableDiffusion) -> None:
    schedule = backend.schedule(10, "checkpoint")  # timesteps 1, 101, ... 901
    assert levels_near(schedule, (99.0, 540.0, 120.0, 1000.0)) == [Level.of(schedule, n) for n in (10, 6, 2)]
    assert levels_near(schedule, (540.0,))[0].title == "t = 501"
    assert [level.number for level in levels_near(schedule, ())] == [*range(10, 0, -1)]


def test_attention_is_the_mean_over_heads() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 6, 8, generator=generator), torch.randn(2, 5, 8, generator=generator)
    torch.testing.assert_close(mean_attention(q, k, heads=4), attention_map(q, k, heads=4).mean(1))


def test_a_point_lies_in_its_token() -> None:
    assert [token_at(point, (4, 6)) for point in ((0, 0), (1, 0), (0.5, 0.5), (1, 1))] == [0, 5, 15, 23]


def test_levels_are_reported_as_they_are_done(backend: StableDiffusion) -> None:
    heard: list[Event] = []
    levels = levels_near(backend.schedule(3), ())
    assert [*each_level(levels, heard.append)] == levels
    assert [(event.done, event.total) for event in heard if isinstance(event, Progress)] == [(n, 3) for n in range(4)]


def test_recorders_see_frames_alike_in_any_batch(
    backend: StableDiffusion, options: Callable[..., Options], subject: Subject
) -> None:
    residual, attention = select(backend.sites, Kind.RESIDUAL, "decoder"), select(backend.sites, Kind.SELF, "decoder")
    features, tokens = FeatureRecorder(residual), TokenRecorder(attention)
    one_by_one = run(backend, options(batch=1))
    level = levels_near(one_by_one.schedule, (500.0,))[0]
    source_pass(one_by_one, subject, level, [features, tokens])
    assert [*features.seen[residual[-1]]] == [*tokens.seen[attention[0]]] == [0, 1, 2]
    alone = FeatureRecorder(residual[:4])
    source_pass(run(backend, options()), subject, level, [alone], only=2)
    assert [*alone.seen] == [*residual[:4]] and [*alone.seen[residual[0]]] == [2]
    for site in residual[:4]:
        assert torch.equal(alone.seen[site][2], features.seen[site][2])


def test_the_row_of_a_point_is_a_row_of_the_matrix(
    backend: StableDiffusion, options: Callable[..., Options], subject: Subject
) -> None:
    sites = select(backend.sites, Kind.SELF, "decoder")
    whole, row = AttentionRecorder(sites, None, subject.grid), AttentionRecorder(sites, (0.7, 0.3), subject.grid)
    here = run(backend, options())
    level = levels_near(here.schedule, (500.0,))[0]
    source_pass(here, subject, level, [whole, row], only=0)
    matrix = whole.seen[sites[-1]][0]
    assert matrix.shape == (24, 24)  # of 4 x 6 latents, for 32 x 48 pixels
    torch.testing.assert_close(matrix.sum(1), torch.ones(24))
    torch.testing.assert_close(row.seen[sites[-1]][0], matrix[token_at((0.7, 0.3), (4, 6))][None])


def test_word_maps_are_summed_by_their_size(
    backend: StableDiffusion, options: Callable[..., Options], subject: Subject
) -> None:
    sites = select(backend.sites, Kind.CROSS)
    recorder, here = WordRecorder(sites, {"source": 18}), run(backend, options())
    for _ in range(2):  # a step that is made again counts once
        for level in levels_near(here.schedule, ()):
            source_pass(here, subject, level, [recorder])
    assert sorted(recorder.sums) == [("source", 0), ("source", 1)]
    by_size = recorder.sums["source", 1][2]
    assert sum(count for count, _ in by_size.values()) == len(sites)
    count, total = by_size[24]
    assert total.shape == (24, 18) and (total / count > 0).all()
    assert ((total / count).sum(1) < 1).all()  # start and end take the rest
