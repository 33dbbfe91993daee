"""A sheet of pictures that a denoiser draws while it is trained: the same captions and noise each time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor

from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.sprites import LOOKS
from pnpvideo.miniature.recipe.data import HELD_OUT, training_art_instant
from pnpvideo.miniature.world import STYLES, caption, random_scene

COUNT, COLUMNS = 24, 6
STEPS, GUIDANCE = 25, 3.0


def sheet_captions(art: bool) -> list[str]:
    """COUNT captions: of scenes of the procedural world that are never trained on and, if ``art``, a third drawings."""
    drawings = COUNT // 3 if art else 0
    styles = [style for style in STYLES for _ in range(2 if style == "photo" else 1)]
    world = range(COUNT - drawings)
    found = [caption(random_scene(HELD_OUT + index).at(0.5), styles[index % len(styles)]) for index in world]
    return found + [art_caption(training_art_instant(index), LOOKS[index % len(LOOKS)]) for index in range(drawings)]


@dataclass(frozen=True, eq=False)
class SampleSheet:
    """context: text embeddings of n captions, (n, tokens, width); empty: of the empty one, (1, tokens, width);
    scheduler: the training's."""

    context: Tensor
    empty: Tensor
    autoencoder: AutoencoderKL
    scheduler: DDIMScheduler

    @torch.no_grad()
    def draw(self, unet: UNet2DConditionModel, side: int, path: Path) -> None:
        """Sample every caption with STEPS steps of DDIM, and write the pictures row by row. side: of the latents."""
        x = torch.randn(
            (len(self.context), int(unet.config.in_channels), side, side), generator=torch.Generator().manual_seed(0)
        ).to(self.context.device)
        empty = self.empty.expand_as(self.context)
        self.scheduler.set_timesteps(STEPS)
        for timestep in self.scheduler.timesteps:
            without, found = (unet(x, timestep, each).sample.float() for each in (empty, self.context))
            x = self.scheduler.step(without + GUIDANCE * (found - without), timestep, x).prev_sample
        decoded = self.autoencoder.to(x.device).decode(x / self.autoencoder.config.scaling_factor).sample
        pixels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        count, height, width, _ = pixels.shape
        rows = -(-count // COLUMNS)
        sheet = np.full((rows * COLUMNS, height, width, 3), 255, np.uint8)
        sheet[:count] = pixels
        grid = sheet.reshape(rows, COLUMNS, height, width, 3).transpose(0, 2, 1, 3, 4)
        Image.fromarray(grid.reshape(rows * height, COLUMNS * width, 3)).save(path)
