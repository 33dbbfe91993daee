"""Distance to the ground truth: PSNR, SSIM, colour errors and the worst block."""

from collections.abc import Sequence

import cv2
import kornia.metrics
import numpy as np
import torch

from pnpvideo.video.pixels import psnr

WINDOW = 11  # pixels, of SSIM (Wang et al., 2004)
BLOCK = 16  # pixels


def fidelity(
    frames: Sequence[np.ndarray], truth: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> dict[str, float]:
    """PSNR (dB), SSIM (in [-1, 1]) and colour errors inside and outside the objects, over all frames.

    frames, truth: (h, w, 3) uint8 each; masks: (h, w) bool, of the objects.
    """
    return {
        "psnr": psnr(np.stack(frames), np.stack(truth)),
        "ssim": structural_similarity(frames, truth),
        "colour_inside": colour_error(frames, truth, masks),
        "colour_outside": colour_error(frames, truth, [~mask for mask in masks]),
    }


def structural_similarity(frames: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Mean SSIM of corresponding frames, in [-1, 1]."""
    ours, theirs = (torch.from_numpy(np.stack(clip)).permute(0, 3, 1, 2).float() / 255 for clip in (frames, truth))
    return float(kornia.metrics.ssim(ours, theirs, WINDOW).mean())


def colour_error(frames: Sequence[np.ndarray], truth: Sequence[np.ndarray], regions: Sequence[np.ndarray]) -> float:
    """CIE Lab distance (delta E 1976) of the mean colours of frame and truth in a region, mean over frames.

    It ignores texture. NaN if all regions are empty.
    """
    errors = [
        float(np.linalg.norm(_lab(ours)[region].mean(0) - _lab(theirs)[region].mean(0)))
        for ours, theirs, region in zip(frames, truth, regions, strict=True)
        if region.any()
    ]
    return float(np.mean(errors)) if errors else float("nan")


def worst_block(frames: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Largest difference of mean colour among blocks of BLOCK x BLOCK pixels, mean over frames, in levels of 255.

    It finds local errors, such as a bright spot, that means over the picture hide. The difference of a block is the
    mean over its channels. frames, truth: (h, w, 3) uint8.
    """
    found = []
    for frame, true in zip(frames, truth, strict=True):
        error = frame.astype(np.float32) - true
        size = tuple(max(1, side // BLOCK) for side in (frame.shape[1], frame.shape[0]))
        found.append(float(np.abs(cv2.resize(error, size, interpolation=cv2.INTER_AREA)).mean(2).max()))
    return float(np.mean(found))


def _lab(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
