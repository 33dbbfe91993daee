"""Load the models that judge a benchmark; what is missing is named, and only its figures are left out."""

from dataclasses import dataclass, field
from pathlib import Path

from pnpvideo.backends.fingerprint import fingerprint, sha256
from pnpvideo.errors import ModelError
from pnpvideo.measure.judge import Judge, Tower, folder_of
from pnpvideo.measure.suites.lpips import HOW, Lpips

CLIP, DINO = "openai/clip-vit-large-patch14", "facebook/dino-vitb8"


@dataclass(frozen=True, kw_only=True)
class Judges:
    """clip: for text. tower: whose keys compare structure. lpips: perceptual distance. None: its figures are not run.

    missing: judge -> why it is missing and how to get it. protocol: judge -> its name and the start of its fingerprint.
    """

    clip: Judge | None = None
    tower: Tower | None = None
    lpips: Lpips | None = None
    missing: dict[str, str] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)


def load_judges(clip: str = CLIP, dino: str = DINO, lpips: Path | None = None, device: str = "cpu") -> Judges:
    """Load what is there.

    clip: a CLIP model, folder or hub id. dino: a ViT, or a CLIP model whose vision tower is used. lpips: see Lpips.
    """
    missing: dict[str, str] = {}
    protocol: dict[str, str] = {}
    words, tower, perceptual = None, None, None
    try:
        words = Judge(clip, device)
        protocol["CLIP"] = _named(clip, words.fingerprint)
    except ModelError as error:
        missing["CLIP"] = str(error)
    try:
        tower = Tower.load(dino, device)
        protocol["DINO"] = _named(dino, fingerprint(folder_of(dino), ("",)))
    except ModelError as error:
        missing["DINO"] = str(error)
    if lpips is None:
        missing["LPIPS"] = f"no weights were named; {HOW}"
    else:
        try:
            perceptual = Lpips(lpips, device)
            protocol["LPIPS"] = _named(lpips.name, sha256(lpips))
        except ModelError as error:
            missing["LPIPS"] = str(error)
    return Judges(clip=words, tower=tower, lpips=perceptual, missing=missing, protocol=protocol)


def _named(name: str, digest: str) -> str:
    return f"{name} ({digest[:12]})"
