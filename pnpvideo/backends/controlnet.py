"""A loaded ControlNet (arXiv 2302.05543) for the UNet that it was trained for."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor

from pnpvideo.backends.controlnet_file import ControlNetFile
from pnpvideo.backends.footprint import FusedAttention, Living
from pnpvideo.injection import NetworkCall, Residuals


class ControlFootprint(NamedTuple):
    """Bytes. weights: of the ControlNet. call: peak memory of one forward pass of one latent. residuals: of
    what it adds to the network for one latent."""

    weights: int
    call: int
    residuals: int


class ControlNetwork:
    """See edits.control.Steering. It runs on the device and in the precision of the network that it steers."""

    def __init__(self, network: ControlNetModel, fingerprint: str) -> None:
        self.network, self.fingerprint = network, fingerprint

    def residuals(self, call: NetworkCall, condition: Tensor) -> Residuals:
        if (self.network.device, self.network.dtype) != (call.x.device, call.x.dtype):
            self.network.to(call.x.device, call.x.dtype)  # it was moved off the device, or a step runs in fp32
        skips, middle = self.network(
            call.x,
            call.timestep,
            call.text,
            condition,
            added_cond_kwargs=call.added,
            return_dict=False,
        )
        return Residuals(tuple(skips), middle)

    def footprint(self, size: tuple[int, int], shape: tuple[int, ...], context: tuple[int, int]) -> ControlFootprint:
        """For a picture of ``size`` (width, height), its latent of ``shape`` (c, h', w'), and a text of ``context``
        (tokens, channels)."""
        dtype, config = self.network.dtype, self.network.config
        with torch.device("meta"), torch.no_grad():
            twin = ControlNetModel.from_config(config).to(dtype).eval()
            twin.set_attn_processor(FusedAttention([]))
            sizes = (shape, context, (3, size[1], size[0]))
            x, words, picture = (torch.empty((1, *each), dtype=dtype) for each in sizes)
            added = None
            if config.addition_embed_type == "text_time":
                pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
                added = {"text_embeds": torch.empty(1, pooled, dtype=dtype), "time_ids": torch.empty(1, 6)}
            with Living() as living:
                skips, middle = twin(x, 1, words, picture, added_cond_kwargs=added, return_dict=False)
        weights = sum(value.nbytes for value in self.network.parameters())
        return ControlFootprint(weights, living.peak, sum(value.nbytes for value in (*skips, middle)))


class LoadedControlNets:
    """The ControlNets of one model. Those that were asked for last stay loaded, for runs that follow each other."""

    def __init__(self) -> None:
        self.networks: dict[tuple[str, str], ControlNetwork] = {}

    def of(
        self, paths: Sequence[str], like: UNet2DConditionModel, factor: int, device: torch.device, dtype: torch.dtype
    ) -> tuple[ControlNetwork, ...]:
        """The ControlNets at ``paths``, for the network ``like`` on this device and in this precision. ModelError.

        factor: pixels of the pictures for each cell of the latents.
        """
        found: dict[tuple[str, str], ControlNetwork] = {}
        ordered = []
        for path in paths:
            file = ControlNetFile.of(Path(path))
            key = str(file.path), file.fingerprint
            if (known := found.get(key) or self.networks.get(key)) is None:
                file.check_fits(like.config, factor)
                network = file.network(ControlNetModel, dtype, like.config).to(device)
                if device.type == "cuda":
                    network.to(memory_format=torch.channels_last)  # as convolutions in half precision want it
                known = ControlNetwork(network, key[1])
            found[key] = known
            ordered.append(known)
        self.networks = found
        return tuple(ordered)
