"""An autoencoder that is named by itself (--vae): a folder, or one .safetensors file in LDM's or diffusers' naming.

It may be a tiny one (TAESD, https://github.com/madebyollin/taesd): a few convolutions that encode and decode roughly.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pnpvideo.backends.derived_configs import autoencoder_config
from pnpvideo.backends.family import Family
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.identify import READ, Kind, identify
from pnpvideo.backends.ldm_names import Origin, autoencoder_origins
from pnpvideo.backends.model_files import read_json, tensor_shapes, weights_of
from pnpvideo.backends.single_file import converted_shapes, read_tensors
from pnpvideo.errors import ModelError


@dataclass(frozen=True)
class AutoencoderFile:
    """path: a file, or the folder with config.json. config: without a scale of latents where nothing states one.

    tiny: is it a tiny one?
    """

    path: Path
    config: Mapping[str, Any]
    tiny: bool = False

    @classmethod
    def of(cls, path: Path) -> "AutoencoderFile":
        """Read its config, or the header of a file. A checkpoint gives its autoencoder. Raises ModelError."""
        if not path.exists():
            raise ModelError(
                f"{path} is missing; accepted for --vae is the folder or .safetensors file of an autoencoder"
            )
        if (path / "vae").is_dir():
            path /= "vae"
        identity = identify(path)
        if identity.kind == Kind.UNKNOWN and path.is_file():
            tensor_shapes([path])  # says what is damaged
        if identity.kind == Kind.TINY_VAE:
            return cls._of_tiny(path)
        if identity.kind not in (Kind.VAE, *READ):
            raise ModelError(
                f"{path} is {identity}; accepted for --vae is the autoencoder of a Stable Diffusion 1.x, 2.x or XL"
            )
        usual = {"scaling_factor": Family.SD1.latent_scale}
        if not path.is_file():
            weights_of(path)
            return cls(path, usual | read_json(path / "config.json"))
        names = tensor_shapes([path])
        config = _from_shapes(path, converted_shapes(autoencoder_origins(names), names))
        if identity.kind == Kind.SDXL:
            config["scaling_factor"] = Family.SDXL.latent_scale
        return cls(path, config if identity.kind == Kind.VAE else usual | config)

    @classmethod
    def _of_tiny(cls, path: Path) -> "AutoencoderFile":
        files = [path] if path.is_file() else [*weights_of(path)]
        width = tensor_shapes(files)["decoder.layers.0.weight"]
        stated = {} if path.is_file() else read_json(path / "config.json")
        levels = [64] * 4 if path.is_file() else stated.get("decoder_block_out_channels", [64] * 4)
        scale = stated.get("scaling_factor", 1.0)
        latent = width[1] if len(width) == 4 else 0
        facts = {"latent_channels": latent, "block_out_channels": levels, "scaling_factor": scale}
        return cls(path, {**stated, **facts}, tiny=True)

    def fitting(self, own: Mapping[str, Any], latent_channels: int, usual_scale: float) -> "AutoencoderFile":
        """The same with the model's scale where it states none. own: config of the model's autoencoder, or {}.

        latent_channels: what the network takes. usual_scale: of the model's family. Raises ModelError unless it can
        stand in for the model's autoencoder.
        """
        channels = self.config.get("latent_channels", 4)
        if channels != latent_channels:
            raise ModelError(
                f"{self.path} makes latents of {channels} channels, and the model takes {latent_channels}; accepted "
                "for --vae is an autoencoder of the model's family"
            )
        levels, own_scale = len(self.config.get("block_out_channels", ())), own.get("scaling_factor", usual_scale)
        scale = self.config.get("scaling_factor", own_scale)
        if own and levels != len(own.get("block_out_channels", ())):
            raise ModelError(
                f"{self.path} makes latents of another size than the model's autoencoder; give one that fits"
            )
        if not self.tiny and scale != own_scale:
            raise ModelError(
                f"{self.path} scales its latents by {scale}, and the model's autoencoder by {own_scale}; accepted for "
                "--vae is an autoencoder of the model's family"
            )
        return replace(self, config={**self.config, "scaling_factor": scale})

    def network(self, kind: Any, dtype: Any) -> Any:
        """Load it. kind: AutoencoderKL; a tiny one is an AutoencoderTiny all the same. Raises ModelError."""
        from pnpvideo.backends.loading import build_network, load_network

        if self.tiny:
            from diffusers import AutoencoderTiny

            kind = AutoencoderTiny
        if os.path.isdir(self.path):
            return load_network(kind, self.path, dtype)
        if self.tiny:
            tensors = read_tensors(self.path, {name: Origin(name) for name in tensor_shapes([self.path])}, dtype)
            return build_network(kind, {"latent_channels": self.config["latent_channels"]}, tensors, self.path)
        origins = autoencoder_origins(tensor_shapes([self.path]))
        return build_network(kind, self.config, read_tensors(self.path, origins, dtype), self.path)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.path, ("",))


def tiny_file(path: Path) -> AutoencoderFile:
    """The tiny autoencoder at ``path``. Raises ModelError for anything else; reads headers alone."""
    file = AutoencoderFile.of(path)
    if not file.tiny:
        raise ModelError(f"{path} is no tiny autoencoder; accepted for --preview-vae is one, such as TAESD")
    return file


def _from_shapes(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    try:
        return autoencoder_config(shapes)
    except ModelError as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong
