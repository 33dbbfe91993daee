"""The interface between edits and a network: Site (where), Moment (when), Lanes (which rows), Edit (what).

Only ``install`` changes a network; only ``attention`` depends on diffusers' ``Attention`` module.
"""

from pnpvideo.injection.conditioning import Conditioning
from pnpvideo.injection.edit import AttentionCall, AttentionEdit, Edit, Recordable, ResidualEdit, StopForward
from pnpvideo.injection.install import Session, checkpointed, injected
from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment, Until
from pnpvideo.injection.site import Kind, Role, Site, select, with_role

__all__ = [
    "AttentionCall",
    "AttentionEdit",
    "Conditioning",
    "Edit",
    "Kind",
    "Lanes",
    "Moment",
    "Recordable",
    "ResidualEdit",
    "Role",
    "Session",
    "Site",
    "StopForward",
    "Until",
    "checkpointed",
    "injected",
    "select",
    "with_role",
]
