"""No coherence: every frame is translated by itself."""

from dataclasses import dataclass
from typing import ClassVar

from pnpvideo.coherence.coherence import Coherence


@dataclass(frozen=True, kw_only=True)
class Independent(Coherence):
    """Translate every frame by itself, as if it were a still."""

    anchored: ClassVar[bool] = False
