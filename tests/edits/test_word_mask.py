"""The mask of a word is where its tokens are looked at."""

import pytest
import torch

from pnpvideo.edits.word_mask import map_size, word_mask


def test_the_mask_is_where_the_word_is() -> None:
    weights = torch.full((2, 3, 8 * 12, 5), 0.01)
    maps = weights.unflatten(2, (8, 12))
    maps[0, :, 2:5, 3:7, 2] = 0.5  # the word's first token in frame 0
    maps[1, :, 5:7, 8:10, 3] = 0.5  # and its second in frame 1
    fine = torch.rand((2, 3, 16 * 24, 5), generator=torch.Generator().manual_seed(0))
    mask = word_mask([weights, fine], [2, 3], 16, 24, grow=0)
    assert mask.shape == (2, 1, 16, 24) and mask.min() >= 0 and mask.max() <= 1
    assert mask[0, 0, 6:8, 8:12].min() > 0.99 and mask[0, 0, 12:].max() < 0.01 and mask[0, 0, :, 18:].max() < 0.01
    assert mask[1, 0, 11:13, 17:19].min() > 0.8 and mask[1, 0, :8].max() < 0.01
    assert ((mask > 0.05) & (mask < 0.95)).any()  # soft at the edge
    wide = word_mask([weights], [2, 3], 16, 24, grow=2)
    assert (wide >= mask - 1e-6).all() and wide.sum() > 1.3 * mask.sum()


def test_sizes_of_maps() -> None:
    assert map_size(64, 16, 16) == (8, 8) and map_size(16, 16, 16) == (4, 4)
    assert map_size(256, 16, 16) is None  # as fine as the latent
    assert map_size(5 * 8, 9, 15) == (5, 8)  # halves are rounded up, as the network does
    with pytest.raises(ValueError, match="no cross-attention map"):
        word_mask([torch.rand(1, 2, 256, 5)], [1], 16, 16)
