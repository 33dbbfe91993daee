"""Self-attention as colours: of each picture by itself, or of one point."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.errors import OptionError
from pnpvideo.inspect import View, attention
from pnpvideo.inspect.attention_maps import AttentionMap, AttentionMaps
from pnpvideo.settings.options import Options

VIEW = View(layers=(7, 9), timesteps=(540.0, 100.0))


def test_every_picture_has_an_analysis_of_its_own(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    both = [picture("a.png", 10), picture("b.png", 34)]
    found, alone = (attention(some, quick(), VIEW, keep=True) for some in (both, both[1:]))
    assert isinstance(found, AttentionMaps) and len(found.maps) == len(alone.maps) == 4
    for one, other in zip(found.maps, alone.maps, strict=True):
        assert isinstance(one, AttentionMap) and np.array_equal(one.scores[1], other.scores[0])
    weights = found.tensors()[f"0/{found.maps[0].site.name}/level-2"]
    assert weights.shape == (1, 16, 16)
    torch.testing.assert_close(weights.sum(2), torch.ones(1, 16))
    rows = weights[0].double().numpy()
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(found.maps[0].shares[0], (values / values.sum())[:3], rtol=1e-6)
    assert found.facts()["maps"][0]["explained_variance"] == found.maps[0].shares
    assert np.asarray(found.sheet(64)).std() > 20


def test_the_map_of_a_point_is_its_row(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    whole = attention([picture("a.png")], quick(), VIEW, keep=True)
    found = attention([picture("a.png")], quick(), VIEW, query=(0.45, 0.5))
    for one in found.maps:
        (scores,) = one.scores
        side = len(scores)
        rows = whole.weights[f"0/{one.site.name}/level-{one.level.number}"][0]
        row = rows[int(0.5 * side) * side + int(0.45 * side)].reshape(side, side).numpy()
        np.testing.assert_allclose(scores, row, rtol=1e-4, atol=1e-7)
    largest = [one["largest_weight"] for one in found.facts()["maps"]]
    assert all(0 < values[0] < 1 for values in largest)
    assert found.sheet(64).size != (0, 0) and found.facts()["query"] == (0.45, 0.5)


def test_a_layer_of_a_single_place(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    found = attention([picture("a.png")], quick(size=32), View(layers=(5,), timesteps=(540.0,)))
    assert found.maps[0].scores[0].shape == (1, 1, 1) and found.maps[0].shares == [(0.0,)]
    assert found.sheet(64).width > 64


def test_a_point_outside_and_another_kind_of_site_are_refused(
    quick: Callable[..., Options], picture: Callable[..., Path]
) -> None:
    with pytest.raises(OptionError, match="two shares of the picture from 0 to 1"):
        attention([picture("a.png")], quick(), query=(1.2, 0.5))
    with pytest.raises(OptionError, match="is no self-attention"):
        attention([picture("a.png")], quick(), View(sites=("up_blocks.2.resnets.1.conv2",)))
