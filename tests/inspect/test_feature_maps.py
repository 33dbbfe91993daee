"""Features as colours: exactly those that an edit of a translation sees, in one analysis of all pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.fake import FakeBackend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.independent import Independent
from pnpvideo.injection import Conditioning, Edit, Kind, Lanes, Moment, Site, select
from pnpvideo.inspect import View, features
from pnpvideo.inspect.feature_maps import FeatureMap, FeatureMaps
from pnpvideo.methods.method import Method
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options, Runtime, Sampling
from pnpvideo.settings.prompts import Prompts


class Spy:
    """An edit that keeps the source's features of every step."""

    def __init__(self, sites: tuple[Site, ...], seen: dict[tuple[str, int], Tensor]) -> None:
        self.sites, self.seen = sites, seen

    def begin(self, moment: Moment) -> None: ...

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return not lanes.edited

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return True

    def __call__(self, value: Tensor, site: Site, moment: Moment, lanes: Lanes) -> Tensor:
        self.seen[site.name, moment.steps - moment.step] = value.clone()
        return value


@dataclass(frozen=True, kw_only=True)
class Watched(Method):
    """Plain sampling with the spy."""

    seen: ClassVar[dict[tuple[str, int], Tensor]] = {}

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        return [Spy(select(sites, Kind.RESIDUAL, "decoder"), self.seen)]


def test_features_are_bit_for_bit_those_that_an_edit_sees(
    backend: StableDiffusion, options: Callable[..., Options], clip_of: Callable[..., Path], tmp_path: Path
) -> None:
    clip, Watched.seen = clip_of(3), {}
    spied = options(store=tmp_path / "other", method=Watched(), coherence=Independent())
    translate(clip, "a prompt", tmp_path / "out.mp4", spied, backend=backend)
    found = features([clip], options(), View(at=(0, 1, 2), timesteps=()), backend=backend, keep=True)
    assert len(found.features) == len(Watched.seen) == 12 * 2
    for (name, level), seen in Watched.seen.items():
        assert torch.equal(found.features[f"0/{name}/level-{level}"], seen), (name, level)


class LatentFeatures(FakeBackend):
    """The fake backend with one site, whose features are the latents themselves."""

    sites: tuple[Site, ...] = (Site("block.conv2", Kind.RESIDUAL, "decoder", 0),)

    def __init__(self) -> None:
        super().__init__({"dusk": (-0.3, -0.2, 0.1)})
        self.network = nn.ModuleDict({"block": nn.ModuleDict({"conv2": nn.Identity()})})

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        self.network.get_submodule("block.conv2")(x)
        return super().predict(x, timestep, context)


def test_all_pictures_share_one_exact_analysis(picture: Callable[..., Path], tmp_path: Path) -> None:
    pictures = [picture("a.png", 10), picture("b.png", 30, (60, 60, 200))]
    options = Options(
        prompts=Prompts(source_prompt="dusk"),
        sampling=Sampling(steps=4, size=32),
        runtime=Runtime(store=tmp_path / "store"),
    )
    found = features(pictures, options, View(timesteps=(100.0, 900.0)), backend=LatentFeatures())
    assert isinstance(found, FeatureMaps) and [one.level.number for one in found.maps] == [4, 1]
    one = found.maps[-1]
    assert isinstance(one, FeatureMap) and [scores.shape for scores in one.scores] == [(32, 32, 3)] * 2
    latents = torch.cat([subject.trajectory.at(1) for subject in found.subjects]).double()
    rows = latents.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(one.components.shares, values / values.sum(), rtol=1e-9)
    joined = np.concatenate([scores.reshape(-1, 3) for scores in one.scores])
    np.testing.assert_allclose(np.square(joined).sum(0), values, rtol=1e-4)
    axes = one.components.axes.numpy()
    np.testing.assert_allclose(joined @ axes, rows - rows.mean(0), atol=1e-5)  # three axes of three channels: all of it


def test_what_is_the_same_at_every_place_is_told_apart(picture: Callable[..., Path], tmp_path: Path) -> None:
    def place(*inputs: Path) -> object:
        options = Options(
            prompts=Prompts(source_prompt="dusk"),
            sampling=Sampling(steps=2, size=32),
            runtime=Runtime(store=tmp_path / "store"),
        )
        found = features(inputs, options, View(timesteps=(0.0,)), backend=LatentFeatures()).facts()
        return found["maps"][0]["explained_by_place"]

    one, other = picture("a.png", 10), picture("b.png", 30)
    same = place(one, one)
    assert isinstance(same, float) and abs(same - 1) < 1e-9
    different = place(one, other)
    assert isinstance(different, float) and 0.5 < different < 0.95
    assert place(one) is None


def test_signs_agree_from_level_to_level(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    view = View(layers=(7, 8), timesteps=())
    found = features([picture("a.png")], quick(), view)
    for first, second in zip(found.maps[:2], found.maps[2:], strict=True):
        assert first.site == second.site and first.level.number == second.level.number + 1
        assert (np.einsum("hwk,hwk->k", first.scores[0], second.scores[0]) >= 0).all()


def test_the_sheet_of_the_miniature(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    pictures = [picture("a.png", 10), picture("b.png", 30)]
    attention = "up_blocks.2.attentions.1.transformer_blocks.0.attn1"
    view = View(sites=("up_blocks.2.resnets.1.conv2", attention), timesteps=(540.0,))
    found = features(pictures, quick(), view, keep=True)
    facts = found.facts()
    assert [(one["kind"], one["layer"]) for one in facts["maps"]] == [("residual", 7), ("self-attention", 7)]
    assert all(0 < sum(one["explained_variance"]) <= 1 + 1e-9 for one in facts["maps"])
    assert [one["input"] for one in facts["inputs"]] == ["a.png", "b.png"]
    assert found.tensors()[f"1/{attention}/level-{found.maps[0].level.number}"].shape == (1, 64, 4, 4)
    sheet = np.asarray(found.sheet(height=64))
    again = np.asarray(features(pictures, quick(), view).sheet(height=64))
    assert np.array_equal(sheet, again)
    assert sheet.shape[0] > 3 * 64 and sheet.std() > 20


def test_the_network_is_left_as_it_was(
    miniature: Backend, quick: Callable[..., Options], picture: Callable[..., Path]
) -> None:
    def state() -> list[tuple[str, object, int]]:
        modules = miniature.network.named_modules()
        return [(name, getattr(module, "processor", None), len(module._forward_hooks)) for name, module in modules]

    before = state()
    features([picture("a.png")], quick(), View(layers=(7,)), backend=miniature)
    assert state() == before
