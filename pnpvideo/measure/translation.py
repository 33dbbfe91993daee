"""Distance of a result to the ground truth: the same clip rendered in the target style."""

from collections.abc import Sequence

import cv2
import kornia.metrics
import numpy as np
import torch

from pnpvideo.video.pixels import psnr

WINDOW = 11  # pixels, of SSIM (Wang et al., 2004)


def translation(
    frames: Sequence[np.ndarray], truth: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> dict[str, float]:
    """PSNR (dB), SSIM (in [-1, 1]) and colour errors inside and outside the objects, over all frames.

    The colour error is the CIE Lab distance (delta E 1976) between the mean colours of result and truth in a region,
    averaged over frames; it ignores texture.
    frames, truth: (h, w, 3) uint8 each; masks: (h, w) bool, where objects are.
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
    """Mean over frames of delta E between the mean colours of frame and truth in a region; NaN if all are empty."""
    errors = [
        float(np.linalg.norm(_lab(ours)[region].mean(0) - _lab(theirs)[region].mean(0)))
        for ours, theirs, region in zip(frames, truth, regions, strict=True)
        if region.any()
    ]
    return float(np.mean(errors)) if errors else float("nan")


def _lab(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
