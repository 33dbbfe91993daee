from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.errors import InputError
from pnpvideo.measure.motion import Motion
from pnpvideo.student.examples import Drawing, Examples, Motions, imagined_motions, read_examples
from pnpvideo.student.losses import warp
from pnpvideo.student.network import SHAPES, Generator, context_of

from .conftest import pictures


def test_a_batch_depends_on_seed_and_step_alone(examples: Examples) -> None:
    drawing = Drawing(batch=3, patch=16, jitter=0.1, noise=0.05)
    one, again = drawing.examples(examples, 5, 7), drawing.examples(examples, 5, 7)
    assert torch.equal(one.source, again.source) and torch.equal(one.place, again.place)
    assert not torch.equal(one.source, drawing.examples(examples, 5, 8).source)
    assert not torch.equal(one.source, drawing.examples(examples, 6, 7).source)


def test_patches_of_source_and_target_belong_together(examples: Examples) -> None:
    batch = Drawing(batch=16, patch=8).examples(examples, 0, 0)
    assert batch.source.shape == (16, 3, 8, 8) and batch.context.shape == (16, 3, 64, 64)
    assert batch.target is not None and torch.allclose(batch.target, -batch.source, atol=1e-6)


def test_half_of_the_patches_are_mirrored_with_their_context() -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None] * 8, (32, 32, 3))
    batch = Drawing(batch=40, patch=16).examples(Examples(ramp[None], ramp[None]), 0, 0)
    falls = (batch.source[:, 0, 0, -1] < batch.source[:, 0, 0, 0]).sum().item()
    assert 10 < falls < 30
    assert torch.equal(
        batch.source[:, 0, 0, -1] < batch.source[:, 0, 0, 0], batch.context[:, 0, 0, -1] < batch.context[:, 0, 0, 0]
    )
    assert (batch.place[:, 0, 0, -1] > batch.place[:, 0, 0, 0]).all()
    never = Drawing(batch=40, patch=16, mirror=False).examples(Examples(ramp[None], ramp[None]), 0, 0)
    assert (never.source[:, 0, 0, -1] > never.source[:, 0, 0, 0]).all()


def test_a_patch_larger_than_the_picture_is_the_whole_picture(examples: Examples) -> None:
    batch = Drawing(batch=1, patch=99, mirror=False).examples(examples, 0, 0)
    assert batch.source.shape == (1, 3, 32, 32)
    assert torch.equal(batch.context, context_of(batch.source))


@pytest.mark.parametrize("size", [(104, 56), (40, 72), (72, 72)])
def test_patches_of_any_picture_have_sides_that_the_network_accepts(size: tuple[int, int]) -> None:
    source = pictures(2, size)
    batch = Drawing(batch=2, patch=64).examples(Examples(source, source), seed=0, step=0)
    width, height = (min(64, side // 16 * 16) for side in size)
    assert batch.source.shape == (2, 3, height, width)
    network = Generator(SHAPES["small"])
    assert network(batch.source, batch.context, batch.place).shape == batch.source.shape


def test_neighbours_are_cut_at_one_place_and_what_leaves_the_patch_does_not_count() -> None:
    earlier = pictures(1, (40, 40))
    later = np.roll(earlier, 3, axis=2)
    flow = np.zeros((1, 2, 40, 40), np.float16)
    flow[:, 0] = 3
    visible = np.ones((1, 40, 40), bool)
    visible[:, :, -3:] = False
    motions = Motions(earlier, later, flow, visible)
    batch = Drawing(patch=16).neighbours(motions, 5, 0, 0)
    warped = warp(batch.later.source, batch.flow)
    assert batch.visible.shape == (5, 1, 16, 16) and 0 < batch.visible.mean() < 1
    assert torch.allclose(warped * batch.visible, batch.earlier.source * batch.visible, atol=1e-5)


def test_examples_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(InputError, match=r"shapes \(2, 32, 32, 3\) and \(1, 32, 32, 3\)"):
        Examples(pictures(2), pictures(1))
    with pytest.raises(InputError, match="n of at least 1"):
        Examples(pictures(2)[:0], pictures(2)[:0])


def test_pictures_are_read_at_the_size_that_is_asked(tmp_path: Path) -> None:
    Image.fromarray(pictures(1, (64, 64))[0]).save(tmp_path / "a.png")
    Image.fromarray(pictures(1)[0]).save(tmp_path / "b.png")
    found = read_examples([(tmp_path / "a.png", tmp_path / "b.png")], (32, 32))
    assert found.size == (32, 32) and np.array_equal(found.target[0], pictures(1)[0])


def test_imagined_motion_is_exact() -> None:
    rows, columns = np.mgrid[:64, :64]
    smooth = np.stack([columns * 3, rows * 3, 96 + (columns + rows)], -1).astype(np.uint8)
    motions = imagined_motions(np.stack([smooth, smooth]), 3, 0, 5)
    again = imagined_motions(np.stack([smooth, smooth]), 3, 0, 5)
    assert np.array_equal(motions.later, again.later) and motions.earlier.shape == (3, 64, 64, 3)
    assert np.abs(motions.flow).max() > 0.5 and not np.array_equal(motions.flow[0], motions.flow[1])
    for earlier, later, flow, visible in zip(
        motions.earlier, motions.later, motions.flow, motions.visible, strict=True
    ):
        error = np.abs(Motion(flow.astype(np.float32), visible).undo(later) - earlier)
        inner = visible.copy()
        inner[[0, 1, -2, -1]] = inner[:, [0, 1, -2, -1]] = False
        assert visible.mean() > 0.8 and error[inner].max() < 3
