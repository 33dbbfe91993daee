"""Which frames go through the network together, and what they share."""

import pytest

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.coherence import FIRST, Coherence, Place
from pnpvideo.coherence.flow import TokenFlow
from pnpvideo.coherence.independent import Independent
from pnpvideo.coherence.joint import JointAttention
from pnpvideo.coherence.registry import COHERENCES, USUAL, name_of
from pnpvideo.edits.shared_attention import KeyframesOnly, SharedAttention
from pnpvideo.edits.structure import FeatureInjection
from pnpvideo.edits.token_flow import Correspondences, TokenPropagation
from pnpvideo.injection import Recordable
from pnpvideo.methods.plug_and_play import PlugAndPlay

METHOD = PlugAndPlay(feature_until=0.8, attention_until=0.5)


@pytest.mark.parametrize("coherence", [TokenFlow(keyframe_every=3), JointAttention(keyframe_every=3)])
def test_keyframes_are_anchors_and_one_of_each_segment(coherence: Coherence) -> None:
    for step in range(6):
        keyframes = coherence.keyframes(10, FIRST, step, anchors=2)
        assert keyframes[:2] == (0, 1) and list(keyframes) == sorted(set(keyframes))
        assert [(frame - 2) // 3 for frame in keyframes[2:]] == [0, 1, 2]
    drawn = {
        coherence.keyframes(9, Place(seed, shot, window), 0) for seed in (0, 1) for shot in (0, 1) for window in (0, 1)
    }
    assert len(drawn) > 3  # seed, shot and window matter


def test_passes_take_each_frame_once_keyframes_first() -> None:
    passes = TokenFlow(keyframe_every=4).passes(10, (1, 6), batch=3)
    assert passes == [(1, 6), (0, 2, 3), (4, 5, 7), (8, 9)]
    assert Independent().passes(5, (), batch=2) == [(0, 1), (2, 3), (4,)]
    assert Independent().keyframes(5, FIRST, 0) == () and not Independent.anchored


def test_edits_stand_around_and_inside_of_the_methods(backend: StableDiffusion) -> None:
    own = METHOD.edits(backend.sites)
    times = [0.0, 0.1, 0.2]
    assert Independent().edits(own, backend.sites, times) == own
    joint = JointAttention().edits(own, backend.sites, times)
    assert joint[:-1] == own and isinstance(joint[-1], SharedAttention) and joint[-1].everyone
    flow = TokenFlow().edits(own, backend.sites, times)
    kinds = [type(edit) for edit in flow]
    assert kinds == [Correspondences, TokenPropagation, FeatureInjection, KeyframesOnly, SharedAttention]
    assert [isinstance(edit, Recordable) for edit in flow] == [True, False, False, False, False]


def test_what_edits_hold_grows_with_keyframes_alone() -> None:
    assert Independent().tokens_held(0, 8, 2) == 16
    assert JointAttention().tokens_held(3, 8, 2) == 16 + 12
    assert TokenFlow().tokens_held(3, 8, 2) == TokenFlow().tokens_held(3, 4, 2) == 6 + 9


def test_names_are_those_of_the_registry() -> None:
    assert {name_of(kind()) for kind in COHERENCES.values()} == set(COHERENCES) and USUAL in COHERENCES
    assert name_of(Coherence()) == "Coherence"
