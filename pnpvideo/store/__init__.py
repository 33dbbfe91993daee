"""Keep results between runs: content-addressed, checksummed, safe against crashes, one lock a key."""

from pnpvideo.store.digest import fingerprint
from pnpvideo.store.entry import Entry
from pnpvideo.store.store import KINDS, EntryInfo, Store

__all__ = ["KINDS", "Entry", "EntryInfo", "Store", "fingerprint"]
