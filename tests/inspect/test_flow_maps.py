"""Which keyframe token each token copies, and how far that agrees with optical flow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.coherence import Place
from pnpvideo.coherence.flow import TokenFlow
from pnpvideo.edits.token_flow import Correspondences
from pnpvideo.errors import InputError, OptionError
from pnpvideo.injection import AttentionCall, Edit, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend
from pnpvideo.inspect import View, flow
from pnpvideo.inspect.flow_maps import FirstAndLast, FlowMap, FlowMaps
from pnpvideo.methods.method import Method
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options


class Spy:
    """An edit that reads the correspondences while token flow copies along them."""

    def __init__(self, correspondences: Correspondences, seen: dict[tuple[str, int], Tensor]) -> None:
        self.sites, self.correspondences, self.seen = correspondences.sites, correspondences, seen

    def begin(self, moment: Moment) -> None: ...

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return bool(lanes.edited) and lanes.frames != moment.keyframes

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        level = call.moment.steps - call.moment.step
        self.seen[call.site.name, level] = self.correspondences.of(call.site, call.lanes.frames, torch.device("cpu"))
        return attend(call)


@dataclass(frozen=True, kw_only=True)
class Watched(TokenFlow):
    """Token flow whose keyframes are the first and the last frame, with the spy."""

    seen: ClassVar[dict[tuple[str, int], Tensor]] = {}

    def keyframes(self, frames: int, place: Place, step: int, anchors: int = 0) -> tuple[int, ...]:
        return FirstAndLast().keyframes(frames, place, step, anchors)

    def edits(self, method: Sequence[Edit], sites: Sequence[Site], times: Sequence[float]) -> list[Edit]:
        edits = super().edits(method, sites, times)
        return [Spy(cast(Correspondences, edits[0]), self.seen), *edits]


def test_correspondences_are_those_that_a_translation_copies_along(
    backend: StableDiffusion, options: Callable[..., Options], clip_of: Callable[..., Path], tmp_path: Path
) -> None:
    clip, Watched.seen = clip_of(4), {}
    with_spy = options(store=tmp_path / "other", method=Method(), coherence=Watched())
    translate(clip, "a prompt", tmp_path / "out.mp4", with_spy, backend=backend)
    view = View(pictures=4, timesteps=(0.0,))  # level 1, of which the inversion of both runs is the same
    found = flow([clip], options(), view, backend=backend)
    level = {name: seen for (name, number), seen in Watched.seen.items() if number == 1}
    same = [torch.equal(seen, found.index[f"0/{name}/level-1"]) for name, seen in level.items() if "up_blocks" in name]
    assert len(same) == 9 and all(same)


def test_the_miniature_follows_a_thing_that_moves(tmp_path: Path, quick: Callable[..., Options]) -> None:
    found = flow([Path("samples/ball.mp4")], quick(size=128, steps=3), View(pictures=5, timesteps=(100.0,)))
    assert isinstance(found, FlowMaps) and found.keyframe == (0, 0, 0, 1, 1)
    assert [(one.site.layer, one.sources.shape) for one in found.maps] == [
        (5, (5, 4, 4, 2)),
        (8, (5, 8, 8, 2)),
        (11, (5, 16, 16, 2)),
    ]
    finest = found.maps[-1]
    assert isinstance(finest, FlowMap) and finest.agree > 0.5
    assert found.facts()["maps"][-1]["agree_with_optical_flow"] == finest.agree
    assert found.tensors()[f"0/{finest.site.name}/level-1"].shape == (3, 2, 256)
    assert np.asarray(found.sheet(64)).std() > 20


def test_a_clip_that_stands_still_copies_its_own_places(
    quick: Callable[..., Options], clip_of: Callable[..., Path]
) -> None:
    found = flow([clip_of(3, hold=3)], quick(), View(layers=(10,)))
    assert found.maps[0].agree > 0.9 and found.maps[0].moving == 0
    assert found.facts()["maps"][0]["moving_agree_with_optical_flow"] is None


def test_too_little_is_refused(
    quick: Callable[..., Options], clip_of: Callable[..., Path], picture: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match="one clip; 2 inputs were given"):
        flow([clip_of(3), clip_of(3)], quick())
    with pytest.raises(OptionError, match="pictures is 2; flow needs at least 3"):
        flow([clip_of(3)], quick(), View(pictures=2))
    with pytest.raises(InputError, match=r"a\.png has 1 frames before its first cut or end"):
        flow([picture("a.png")], quick())
