"""Sites: the places in a network where edits can be installed, as the backend declares them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from pnpvideo.errors import NoMatchingSite


class Kind(Enum):
    SELF = "self-attention"
    CROSS = "cross-attention"
    RESIDUAL = "residual"
    NETWORK = "whole network"


class Role(Enum):
    """The purpose of a site, declared by the backend, so that methods need not name layers."""

    STRUCTURE_FEATURES = "structure features"
    """Residual features that encode a picture's layout and little of its appearance (arXiv 2211.12572, section 3)."""
    STRUCTURE_ATTENTION = "structure attention"
    """Self-attentions whose q and k encode a picture's layout."""


@dataclass(frozen=True)
class Site:
    """A module of the network at which edits can be installed.

    name: the module's path in the network. part: "encoder", "middle" or "decoder" of a UNet, "transformer", or "whole"
    for the network itself. layer: index from 0 within its part.
    roles: its purposes. A decoder layer is one ResNet block and, where there is one, its transformer block: Stable
    Diffusion's decoder has layers 0 to 11, as Plug-and-Play numbers them.
    """

    name: str
    kind: Kind
    part: str
    layer: int
    roles: frozenset[Role] = frozenset()


WHOLE = Site("", Kind.NETWORK, "whole", 0)
"""The network itself, where an edit can add to its skip connections. Every network has it; no backend declares it."""


def select(
    sites: Iterable[Site], kind: Kind, part: str | None = None, layers: Iterable[int] | None = None
) -> tuple[Site, ...]:
    """Select sites by kind, part and layers, in execution order. Raises NoMatchingSite if there are none."""
    wanted = None if layers is None else set(layers)
    found = tuple(
        site
        for site in sites
        if site.kind is kind and part in (None, site.part) and (wanted is None or site.layer in wanted)
    )
    if not found:
        where = f" in the {part}" if part else ""
        which = f", layers {sorted(wanted)}" if wanted is not None else ""
        if kind is Kind.CROSS and part is None and wanted is None:
            raise NoMatchingSite("this network has no cross-attention; it attends to picture and text together")
        raise NoMatchingSite(f"this network has no {kind.value} site{where}{which}; its topology is not one we know")
    return found


def with_role(sites: Iterable[Site], role: Role) -> tuple[Site, ...]:
    """Select the sites that have ``role``, in execution order. Raises NoMatchingSite if there are none."""
    found = tuple(site for site in sites if role in site.roles)
    if not found:
        raise NoMatchingSite(f"the model declares no site for {role.value}, which this method needs")
    return found
