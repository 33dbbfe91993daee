"""Token flow: who is whose neighbour, and what a frame gets from it."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from pnpvideo.edits.keyframes import draw_keyframes
from pnpvideo.edits.propagation import TokenFlow, correspondence, neighbours
from pnpvideo.injection import AttentionCall, Kind, Lanes, Moment, Site

SITE = Site("somewhere", Kind.SELF, "decoder", 4)
NAMES = ("source", "empty", "positive")


def call_of(hidden: Tensor, frames: Sequence[int], keyframes: Sequence[int]) -> AttentionCall:
    lanes = Lanes(NAMES, tuple(frames))
    parts = lanes.split(hidden)
    return AttentionCall(SITE, Moment(0, 1, 981, tuple(keyframes)), lanes, hidden, parts, parts, parts)


def doubled(call: AttentionCall) -> Tensor:
    """Stands for the attention, told apart by its output: each token's own, times two."""
    return 2 * call.hidden


def tokens(frames: int) -> Tensor:
    """The hidden input of three lanes: (3 * frames, 24, 16)."""
    return torch.randn(len(NAMES) * frames, 24, 16, generator=torch.Generator().manual_seed(0))


def test_a_frame_that_looks_like_its_keyframe_gets_it_back() -> None:
    """Frame 1 has the source tokens of keyframe 0, shuffled: its output is that keyframe's, shuffled the same way."""
    flow, hidden = TokenFlow((SITE,), (0.0, 1.0)), tokens(1)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    kept = flow(call_of(hidden, [0], [0]), doubled)
    got = flow(call_of(hidden[:, order] * torch.tensor([1.0, -1.0, 3.0])[:, None, None], [1], [0]), doubled)
    assert torch.equal(got[1:], kept[1:, order])  # whatever the edited lanes of frame 1 held


def test_between_two_keyframes_the_nearer_one_weighs_more() -> None:
    """Uneven times: frame 1 lies a quarter of the way from keyframe 0 to keyframe 2."""
    flow, hidden = TokenFlow((SITE,), (0.0, 1.0, 4.0)), tokens(3)
    rows = torch.arange(9).reshape(3, 3)
    hidden[rows[0]] = hidden[0].clone()  # one source picture at all times: each token is its own neighbour
    ends = flow(call_of(hidden[rows[:, [0, 2]].flatten()], [0, 2], [0, 2]), doubled)
    past, following = ends.reshape(3, 2, 24, 16).unbind(1)
    got = flow(call_of(hidden[rows[:, 1]], [1], [0, 2]), doubled)
    assert torch.allclose(got[1:], (0.75 * past + 0.25 * following)[1:], atol=1e-6)
    assert torch.equal(got[0], 2 * hidden[rows[0, 1]])  # the source lane attends as ever


def test_correspondence_is_the_largest_cosine() -> None:
    a, b = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(0))
    unit = [torch.nn.functional.normalize(value, dim=1) for value in (a, b)]
    expected = torch.cosine_similarity(a[:, None], b[None], dim=2).argmax(1)
    assert torch.equal(correspondence(*unit), expected)


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
    drawn = [draw_keyframes(frames, 8, 5, 0, step) for step in range(99)]
    for keyframes in drawn:
        assert [keyframe // 8 for keyframe in keyframes] == list(range(-(-frames // 8)))
        assert keyframes[-1] < frames
    assert {keyframe for keyframes in drawn for keyframe in keyframes} == set(range(frames))  # any frame can be one
    assert drawn == [draw_keyframes(frames, 8, 5, 0, step) for step in range(99)]
