"""What lies in a folder of frames: what counts as a frame, what file managers leave, and what belongs to somebody."""

from pathlib import Path

from pnpvideo.video import picture_formats

_VIEW_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "zbthumbnail.info", "icon\r"}
    | {".ds_store", ".directory", ".localized"}
)
"""Files in which file managers note how a folder is shown, and which they write anew, in lower case."""
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}
)
"""Folders that Windows, macOS and storage devices leave everywhere, in lower case; some hold what was deleted."""


def counted(folder: Path) -> list[Path]:
    """The entries that are the folder's content: no hidden ones, and nothing that systems leave. Raises OSError."""
    ignored = _VIEW_FILES | _SYSTEM_FOLDERS
    return [entry for entry in folder.iterdir() if entry.name[0] != "." and entry.name.lower() not in ignored]


def kept(folder: Path) -> list[Path]:
    """The entries, sorted, that must not be lost with a folder of frames that is replaced. Raises OSError.

    These are all but picture files and the notes of file managers: hidden files and folders, and those that reading
    ignores, may hold what somebody needs.
    """
    return sorted(entry for entry in folder.iterdir() if not (entry.is_file() and _may_go(entry)))


def _may_go(entry: Path) -> bool:
    name = entry.name.lower()
    return entry.suffix.lower() in picture_formats.SUFFIXES or name in _VIEW_FILES or name.startswith("._")
