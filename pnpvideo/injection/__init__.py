"""The interface between edits and a network: Site (where), Moment (when), Lanes (which rows), Edit (what).

Only ``install`` changes a network; only ``attention`` depends on diffusers' ``Attention`` module.
"""

from pnpvideo.injection.conditioning import Conditioning
from pnpvideo.injection.edit import (
    AttentionCall,
    AttentionEdit,
    Edit,
    NetworkCall,
    Recordable,
    ResidualEdit,
    Residuals,
    SkipEdit,
    StopForward,
)
from pnpvideo.injection.install import Session, checkpointed, injected
from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment, Until
from pnpvideo.injection.site import WHOLE, Kind, Role, Site, select, with_role

__all__ = [
    "WHOLE",
    "AttentionCall",
    "AttentionEdit",
    "Conditioning",
    "Edit",
    "Kind",
    "Lanes",
    "Moment",
    "NetworkCall",
    "Recordable",
    "ResidualEdit",
    "Residuals",
    "Role",
    "Session",
    "Site",
    "SkipEdit",
    "StopForward",
    "Until",
    "checkpointed",
    "injected",
    "select",
    "with_role",
]
