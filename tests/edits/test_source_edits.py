"""Edits that read the source: injected structure, and recorded cross-attention maps."""

import torch

from pnpvideo.edits.cross_attention import CrossAttentionMaps, attention_map, map_distance
from pnpvideo.edits.structure import FeatureInjection, SelfAttentionInjection
from pnpvideo.injection import AttentionCall, Kind, Lanes, Moment, Site, Until
from pnpvideo.injection.lanes import SOURCE

FEATURES, ATTENTION = Site("a", Kind.RESIDUAL, "decoder", 4), Site("b", Kind.SELF, "decoder", 4)
EARLY, LATE = Moment(0, 4, 900), Moment(3, 4, 100)
ALONE, EDITED = Lanes((SOURCE,), (0, 1)), Lanes(("empty", "positive"), (0, 1))


def test_every_edited_lane_has_the_features_of_the_source() -> None:
    edit = FeatureInjection((FEATURES,), Until(0.5))
    assert edit.needs_source(EARLY, (0, 1)) and not edit.needs_source(LATE, (0, 1))
    source, edited = torch.randn(2, 3, 4, 4), torch.randn(4, 3, 4, 4)
    edit.begin(EARLY)
    assert edit(source, FEATURES, EARLY, ALONE) is source
    assert torch.equal(edit(edited, FEATURES, EARLY, EDITED), torch.cat((source, source)))


def call(lanes: Lanes, seed: int) -> AttentionCall:
    generator = torch.Generator().manual_seed(seed)

    def some() -> dict[str, torch.Tensor]:
        return {name: torch.randn((len(lanes.frames), 5, 8), generator=generator) for name in lanes.names}

    rows = len(lanes.names) * len(lanes.frames)
    hidden = torch.randn((rows, 5, 8), generator=generator)
    return AttentionCall(
        site=ATTENTION, moment=EARLY, lanes=lanes, hidden=hidden, q=some(), k=some(), v=some(), heads=2
    )


def test_edited_lanes_attend_with_q_and_k_of_the_source_and_their_own_v() -> None:
    edit, seen = SelfAttentionInjection((ATTENTION,), Until(1.0)), []

    def attend(asked: AttentionCall) -> torch.Tensor:
        seen.append(asked)
        return asked.hidden

    source, edited = call(ALONE, 1), call(EDITED, 2)
    edit.begin(EARLY)
    edit(source, attend)
    edit(edited, attend)
    for lane in EDITED.names:
        assert torch.equal(seen[1].q[lane], source.q[SOURCE]) and torch.equal(seen[1].k[lane], source.k[SOURCE])
        assert torch.equal(seen[1].v[lane], edited.v[lane])


def test_maps_are_softmax_of_q_and_k_by_head() -> None:
    given = call(EDITED, 3)
    maps = attention_map(given.q["empty"], given.k["empty"], 2)
    assert maps.shape == (2, 2, 5, 5) and torch.allclose(maps.sum(-1), torch.ones(2, 2, 5))
    by_hand = torch.softmax(given.q["empty"][0, :, :4] @ given.k["empty"][0, :, :4].T / 2, -1)
    assert torch.allclose(maps[0, 0], by_hand, atol=1e-6)
    watch = CrossAttentionMaps([ATTENTION])
    watch.begin(EARLY)
    watch(given, lambda asked: asked.hidden)
    found = watch.take()
    assert torch.equal(found[ATTENTION]["empty"], maps) and watch.take() == {} and watch.smallest == 5
    assert float(map_distance(found, found)) == 0
    moved = {ATTENTION: {lane: value + 1 for lane, value in found[ATTENTION].items()}}
    assert float(map_distance(found, moved)) == 2 * 2 * 2 * 5 * 5 / (2 * 2)
