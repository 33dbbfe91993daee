"""Token flow: who is whose neighbour, and what a frame gets from it."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from pnpvideo.edits.shared_attention import draw_keyframes
from pnpvideo.edits.token_flow import Correspondences, TokenPropagation, correspondence, neighbours
from pnpvideo.injection import AttentionCall, Kind, Lanes, Moment, Site
from pnpvideo.injection.edit import AttentionEdit

SITE = Site("somewhere", Kind.SELF, "decoder", 4)
NAMES = ("empty", "positive")


class Steered:
    """Both edits of token flow at one site, as a step runs them: the source's pass, then that of the edited lanes."""

    def __init__(self, times: Sequence[float], keyframes: Sequence[int]) -> None:
        self.correspondences = Correspondences((SITE,), times)
        self.flow = TokenPropagation(self.correspondences)
        self.moment = Moment(0, 1, 981, tuple(keyframes))

    def __call__(self, source: Tensor, hidden: Tensor, frames: Sequence[int]) -> Tensor:
        alone = self.pass_of(("source",), source, frames, self.correspondences)
        assert torch.equal(alone, 2 * source)  # the source attends as ever
        return self.pass_of(NAMES, hidden, frames, self.flow)

    def pass_of(self, names: tuple[str, ...], hidden: Tensor, frames: Sequence[int], edit: AttentionEdit) -> Tensor:
        lanes = Lanes(names, tuple(frames))
        parts = lanes.split(hidden)
        call = AttentionCall(site=SITE, moment=self.moment, lanes=lanes, hidden=hidden, q=parts, k=parts, v=parts)
        assert edit.active(self.moment, lanes)
        return edit(call, doubled)


def doubled(call: AttentionCall) -> Tensor:
    """Stands for the attention, told apart by its output: each token's own, times two."""
    return 2 * call.hidden


def tokens(rows: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, 24, 16, generator=torch.Generator().manual_seed(seed))


def test_a_frame_that_looks_like_its_keyframe_gets_it_back() -> None:
    """Frame 1 has the source tokens of keyframe 0, shuffled: its output is that keyframe's, shuffled the same way."""
    steered, source, hidden = Steered((0.0, 1.0), [0]), tokens(1), tokens(2, seed=1)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(2))
    kept = steered(source, hidden, [0])
    got = steered(3 * source[:, order], -hidden, [1])  # a length does not count, nor what frame 1's own lanes hold
    assert torch.equal(got, kept[:, order])


def test_between_two_keyframes_the_nearer_one_weighs_more() -> None:
    """Uneven times: frame 1 lies a quarter of the way from keyframe 0 to keyframe 2."""
    steered, source = Steered((0.0, 1.0, 4.0), [0, 2]), tokens(1)
    ends = steered(torch.cat((source, source)), tokens(4, seed=1), [0, 2])  # one source picture at all times
    past, following = ends.reshape(2, 2, 24, 16).unbind(1)
    got = steered(source, tokens(2, seed=2), [1])
    assert torch.allclose(got, 0.75 * past + 0.25 * following, atol=1e-6)


def test_correspondence_is_the_largest_cosine() -> None:
    a, b = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(0))
    unit = [torch.nn.functional.normalize(value, dim=1) for value in (a, b)]
    expected = torch.cosine_similarity(a[:, None], b[None], dim=2).argmax(1)
    assert torch.equal(correspondence(*unit), expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pnpvideo.edits.token_flow.BLOCK", 100)
        assert torch.equal(correspondence(*unit), expected)  # in blocks of two tokens


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_tokens_of_half_precision_are_compared_exactly(dtype: torch.dtype) -> None:
    """Neighbouring tokens of a smooth picture differ by less than half precision resolves in a cosine near 1."""
    place = torch.linspace(0, 3, 400, dtype=torch.float64)
    draw = torch.Generator().manual_seed(0)
    waves = torch.stack([torch.sin(float(k) * place + k) for k in range(1, 33)], 1)
    keyframe = (4 + waves).to(dtype)
    frame = (keyframe[::3].double() * (1 + torch.rand(134, 1, generator=draw, dtype=torch.float64))).to(dtype)
    exact = torch.cosine_similarity(frame.double()[:, None], keyframe.double()[None], dim=2)
    found = correspondence(frame, keyframe)
    lost = exact.max(1).values - exact.gather(1, found[:, None])[:, 0]
    assert lost.max() < 1e-6
    assert torch.equal(found, exact.argmax(1))


@pytest.mark.parametrize("count", [24, 2**15 + 8])
def test_what_is_kept_of_a_step_is_what_was_found(count: int) -> None:
    """Frame 1 is its keyframe, reversed; the last token of a large picture is past 16 bits."""
    source = torch.randn(1, count, 4, generator=torch.Generator().manual_seed(0))
    steered = Steered((0.0, 1.0), [0])
    correspondences = steered.correspondences
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pnpvideo.edits.token_flow.correspondence", lambda _, other: torch.arange(len(other)).flip(0))
        for frame in (0, 1):
            steered.pass_of(("source",), source, [frame], correspondences)
    found = correspondences.of(SITE, [1], source.device)
    correspondences.keep(steered.moment)
    correspondences.begin(steered.moment)
    assert not correspondences.needs_source(steered.moment, (1,))
    assert torch.equal(correspondences.of(SITE, [1], source.device), found)
    assert found.shape == (1, 2, count) and found.max() == count - 1


@pytest.mark.parametrize(
    ("frame", "past", "following"),
    [
        (0, (0, 1.0), (0, 0.0)),  # before the first keyframe
        (1, (0, 1.0), (1, 0.0)),  # a keyframe
        (2, (0, 0.9), (1, 0.1)),
        (3, (0, 0.4), (1, 0.6)),
        (5, (1, 1.0), (1, 0.0)),  # after the last
    ],
)
def test_neighbours_are_weighed_by_time(frame: int, past: tuple[int, float], following: tuple[int, float]) -> None:
    got = neighbours((0.0, 1.0, 2.0, 7.0, 11.0, 12.0), (1, 4), frame)
    assert got == (pytest.approx(past), pytest.approx(following))


@pytest.mark.parametrize("frames", [1, 2, 7, 8, 9, 17])
def test_each_segment_has_one_keyframe(frames: int) -> None:
    drawn = [draw_keyframes(frames, 8, (5, 0, 0), step) for step in range(99)]
    for keyframes in drawn:
        assert [keyframe // 8 for keyframe in keyframes] == list(range(-(-frames // 8)))
        assert keyframes[-1] < frames
    assert {keyframe for keyframes in drawn for keyframe in keyframes} == set(range(frames))  # any frame can be one
    assert drawn == [draw_keyframes(frames, 8, (5, 0, 0), step) for step in range(99)]


def test_soon_every_frame_was_a_keyframe() -> None:
    """After 13 steps of the golden section no gap is an eighth wide, wherever it began."""
    for seed in range(5):
        drawn = [draw_keyframes(24, 8, (seed, 1, 2), step) for step in range(40)]
        for first in range(40 - 13):
            assert {frame for keyframes in drawn[first : first + 13] for frame in keyframes} == set(range(24))
    assert (
        len({draw_keyframes(24, 8, (seed, shot, window), 0) for seed in (0, 1) for shot in (0, 1) for window in (0, 1)})
        > 4
    )
