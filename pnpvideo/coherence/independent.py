"""No coherence: every frame is translated by itself."""

from dataclasses import dataclass
from typing import ClassVar

from pnpvideo.coherence.coherence import Coherence


@dataclass(frozen=True, kw_only=True)
class Independent(Coherence):
    """Every frame by itself, as with a still."""

    anchored: ClassVar[bool] = False
