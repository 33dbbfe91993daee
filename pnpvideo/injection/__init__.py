"""The seam: where, when, which rows and what. Only ``install`` touches a network."""

from pnpvideo.injection.edit import AttentionCall, AttentionEdit, Edit, Enough, ResidualEdit
from pnpvideo.injection.install import Session, checkpointed, injected
from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment, Until
from pnpvideo.injection.site import Kind, Site, select

__all__ = [
    "AttentionCall",
    "AttentionEdit",
    "Edit",
    "Enough",
    "Kind",
    "Lanes",
    "Moment",
    "ResidualEdit",
    "Session",
    "Site",
    "Until",
    "checkpointed",
    "injected",
    "select",
]
