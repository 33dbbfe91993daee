"""The coherences by name; register a new one here."""

from pnpvideo.coherence.coherence import Coherence
from pnpvideo.coherence.flow import TokenFlow
from pnpvideo.coherence.independent import Independent
from pnpvideo.coherence.joint import JointAttention

COHERENCES: dict[str, type[Coherence]] = {"flow": TokenFlow, "joint": JointAttention, "none": Independent}
USUAL = "flow"


def name_of(coherence: Coherence) -> str:
    """The registered name of a coherence; of a class that is not registered, its own name."""
    return next((name for name, kind in COHERENCES.items() if type(coherence) is kind), type(coherence).__name__)
