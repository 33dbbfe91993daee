from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pnpvideo.measure.motion import Motion
from pnpvideo.student.losses import EncoderTower, perceptual_loss, temporal_loss, warp


def test_warping_is_that_of_the_measure() -> None:
    draw = np.random.default_rng(0)
    later, flow = draw.random((12, 9, 3), np.float32), draw.uniform(-3, 3, (2, 12, 9)).astype(np.float32)
    wanted = Motion(flow, np.ones((12, 9), bool)).undo(later)
    found = warp(torch.from_numpy(later).permute(2, 0, 1)[None], torch.from_numpy(flow)[None])
    assert np.allclose(found[0].permute(1, 2, 0), wanted, atol=0.02)  # OpenCV interpolates in 32 parts of a pixel


def test_what_moves_with_the_source_costs_nothing_and_hidden_pixels_do_not_count() -> None:
    earlier = torch.rand(1, 3, 8, 8)
    later = torch.roll(earlier, 2, dims=3)  # everything moves 2 pixels to the right
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = 2
    visible = torch.zeros(1, 1, 8, 8)
    visible[..., :6] = 1
    assert temporal_loss(earlier, later, flow, visible).item() == pytest.approx(0, abs=1e-6)
    assert temporal_loss(earlier, later + 0.5, flow, visible).item() == pytest.approx(0.5, abs=1e-6)
    assert temporal_loss(earlier, later, flow, torch.zeros_like(visible)).item() == 0


def test_perceptual_differences_are_of_unit_features() -> None:
    def tower(pictures: Tensor) -> list[Tensor]:
        return [pictures, 3 * pictures[..., ::2]]

    one, other = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    wanted = 0.0
    for step in (1, 2):
        a, b = one[..., ::step], other[..., ::step]
        unit = a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)
        wanted += unit.square().sum(1).mean().item()
    assert perceptual_loss(tower, one, other).item() == pytest.approx(wanted, rel=1e-5)
    assert perceptual_loss(tower, one, one).item() == 0


def test_the_encoder_of_an_autoencoder_is_a_tower() -> None:
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 8, 8),
        norm_num_groups=4,
        mid_block_add_attention=False,
    ).requires_grad_(False)
    picture = torch.rand(1, 3, 32, 32, requires_grad=True)
    maps = EncoderTower(vae.encoder, depth=2)(picture)
    assert [tuple(each.shape[1:]) for each in maps] == [(4, 32, 32), (4, 16, 16), (8, 8, 8)]
    perceptual_loss(EncoderTower(vae.encoder), picture, torch.rand(1, 3, 32, 32)).backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0
    seen = {}
    for (name, block), _ in pairwise([*vae.encoder.down_blocks.named_children(), ("", None)]):
        block.register_forward_hook(lambda module, args, output, name=name: seen.update({name: output}))
    vae.encoder(picture)
    assert torch.equal(seen["0"], maps[1]) and torch.equal(seen["1"], maps[2])
