"""The methods by name; register a new one here."""

from pnpvideo.methods.flow_edit import FlowEdit
from pnpvideo.methods.method import Method
from pnpvideo.methods.pix2pix_zero import Pix2PixZero
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.methods.sdedit import SDEdit

METHODS: dict[str, type[Method]] = {
    "pnp": PlugAndPlay,
    "sdedit": SDEdit,
    "pix2pix-zero": Pix2PixZero,
    "flowedit": FlowEdit,
}
USUAL = "pnp"
USUAL_EDIT = "pix2pix-zero"
"""The default method of an edit, which has no prompt."""
EDITS = (USUAL_EDIT, "pnp", "flowedit")
"""The methods that ``pnpvideo edit`` offers."""


def name_of(method: Method) -> str:
    """The registered name of a method; of a class that is not registered, its own name."""
    return next((name for name, kind in METHODS.items() if type(method) is kind), type(method).__name__)
