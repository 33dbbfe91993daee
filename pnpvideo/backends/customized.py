"""What a checkpoint is once LoRAs, another autoencoder or another prediction are asked for: its name in the store."""

import hashlib
from pathlib import Path

from pnpvideo.backends.autoencoder_file import AutoencoderFile
from pnpvideo.backends.checkpoint import COVERED
from pnpvideo.backends.embedding_file import embeddings_of
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.lora import lora_fingerprint, loras_of
from pnpvideo.backends.textual_inversion import embeddings_fingerprint
from pnpvideo.settings.options import Customization


def customized_fingerprint(path: Path, customization: Customization) -> str:
    """sha256 of the checkpoint's own fingerprint and of all that changes it; its own where nothing does. ModelError."""
    own = fingerprint(path, COVERED)
    if customization == Customization():
        return own
    vae = None if customization.vae is None else AutoencoderFile.of(customization.vae).fingerprint
    loras, embeddings = loras_of(customization.lora), embeddings_of(customization.embedding)
    about = (
        own,
        vae,
        lora_fingerprint(loras),
        embeddings_fingerprint(embeddings),
        customization.prediction,
        customization.few_step,
    )
    return hashlib.sha256(repr(about).encode()).hexdigest()
