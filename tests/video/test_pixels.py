"""Operations on pictures as arrays."""

import numpy as np
import pytest

from pnpvideo.video import pixels


@pytest.mark.parametrize(
    ("size", "short", "multiple", "expected"),
    [((1920, 1080), 512, 8, (912, 512)), ((1080, 1920), 512, 8, (512, 912)), ((10, 3000), 64, 8, (64, 19200))],
)
def test_the_working_size_keeps_the_aspect_in_multiples(
    size: tuple[int, int], short: int, multiple: int, expected: tuple[int, int]
) -> None:
    assert pixels.working_size(*size, short, multiple) == expected


def test_compositing_over_white_rounds_every_value_to_the_nearest() -> None:
    value, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    flat = pixels.composite_over_white(np.dstack([value, value, value, alpha]))
    share = alpha / 255
    assert np.abs(flat[..., 0] - (value * share + 255 * (1 - share))).max() <= 0.5
    opaque = np.zeros((2, 2, 3), np.uint8)
    assert pixels.composite_over_white(opaque) is opaque


def test_transparent_parts_are_black_in_grey_and_white_to_the_model() -> None:
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:2] = (200, 200, 200, 255)
    assert pixels.to_grey(picture).tolist() == [[200] * 4] * 2 + [[0] * 4] * 2
    assert pixels.to_working([picture], (4, 4))[0, :, 0, 0].tolist() == [200, 200, 255, 255]


def test_a_picture_of_the_right_size_is_returned_unchanged() -> None:
    picture = np.zeros((3, 5, 3), np.uint8)
    assert pixels.resize(picture, (5, 3)) is picture
    assert pixels.resize(picture, (10, 6)).shape == (6, 10, 3)


def test_outside_of_the_mask_the_result_is_the_source_and_alpha_is_kept() -> None:
    noise = np.random.default_rng(0)
    source = noise.integers(0, 256, (16, 24, 4), np.uint8)
    result = noise.integers(0, 256, (8, 12, 3), np.uint8)
    mask = np.zeros((4, 6), np.float32)
    mask[:, 4:] = 1
    shown = pixels.to_display(result, source, (24, 16), mask)
    assert np.array_equal(shown[:, :12], source[:, :12])
    assert np.array_equal(shown[:, 20:, :3], pixels.resize(result, (24, 16))[:, 20:])
    assert np.array_equal(shown[..., 3], source[..., 3])


def test_psnr_is_infinite_for_equal_pictures_and_known_for_others() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert pixels.psnr(black, black) == float("inf")
    assert pixels.psnr(black, black + np.uint8(255)) == 0
    assert pixels.psnr(black, black + np.uint8(1)) == pytest.approx(48.13, abs=0.01)
