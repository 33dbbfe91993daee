"""The mask of a word is where its tokens are looked at."""

import pytest
import torch

from pnpvideo.edits.word_mask import grown, map_size, word_mask


def test_the_mask_is_where_the_word_is() -> None:
    weights = torch.full((2, 3, 16 * 24, 5), 0.01)
    maps = weights.unflatten(2, (16, 24))
    maps[0, :, 4:8, 6:11, 2] = 0.5  # the word's first token in frame 0
    maps[1, :, 11:13, 17:19, 3] = 0.5  # and its second in frame 1
    draw = torch.Generator().manual_seed(0)
    other = [torch.rand((2, 3, count, 5), generator=draw) for count in (32 * 48, 8 * 12)]
    mask = word_mask([other[0], weights, other[1]], [2, 3], 32, 48)
    assert mask.shape == (2, 1, 32, 48) and mask.min() >= 0 and mask.max() <= 1
    assert mask[0, 0, 9:15, 13:21].min() > 0.99 and mask[0, 0, 22:].max() < 0.01 and mask[0, 0, :, 30:].max() < 0.01
    assert mask[1, 0, 22:26, 34:38].min() > 0.8 and mask[1, 0, :16].max() < 0.01
    assert ((mask > 0.05) & (mask < 0.95)).any()  # soft at the edge


def test_a_mask_grows_with_what_it_holds() -> None:
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    away = (rows - 32).hypot(columns - 32)
    for radius in (4, 10):
        disc = (away <= radius).float().expand(1, 1, 64, 64)
        square = ((rows - 32).abs() <= radius) & ((columns - 32).abs() <= radius)
        assert bool(grown(disc)[0, 0][square].all())  # the corners of what the disc lies in have room
        assert grown(disc).sum() < 2.6 * square.sum()
    assert grown(torch.zeros(1, 1, 8, 8)).sum() == 0


def test_sizes_of_maps() -> None:
    assert map_size(64, 16, 16) == (8, 8) and map_size(16, 16, 16) == (4, 4) and map_size(256, 16, 16) == (16, 16)
    assert map_size(5 * 8, 9, 15) == (5, 8)  # halves are rounded up, as the network does
    assert map_size(100, 16, 16) is None
    with pytest.raises(ValueError, match="no cross-attention map"):
        word_mask([torch.rand(1, 2, 100, 5)], [1], 16, 16)
