"""Download of the drawings that the recipe trains on, with npm.

They are Microsoft's Fluent emoji (MIT licence): drawings of the same things in several looks by one team. They are not
part of this repository.
"""

import shutil
import subprocess
import tarfile
from pathlib import Path

from pnpvideo.errors import PnPVideoError

THREE_D, GRADIENT, FLAT = "@lobehub/fluent-emoji-3d", "@iconify-json/fluent-emoji", "@iconify-json/fluent-emoji-flat"
ANIMATED = "@lobehub/fluent-emoji-anim-1"
"""Animations of the 3D drawings; the recipe does not train on them."""
VERSIONS = {THREE_D: "1.1.0", GRADIENT: "1.2.7", FLAT: "1.2.6", ANIMATED: "1.0.0"}


def fetch_package(folder: Path, name: str) -> Path:
    """The folder of package ``name`` under ``folder``, which is unpacked, and downloaded with ``npm pack``, if missing.

    Raises PnPVideoError if npm is missing or cannot fetch it.
    """
    place = folder / f"{name.removeprefix('@').replace('/', '-')}-{VERSIONS[name]}"
    archive = folder / f"{place.name}.tgz"
    if not (place / "package").is_dir():
        if not archive.exists():
            _fetch(folder, name, archive)
        unpacked = place.with_suffix(".part")
        shutil.rmtree(unpacked, ignore_errors=True)
        with tarfile.open(archive) as files:
            _unpack(files, unpacked)
        unpacked.rename(place)
    return place / "package"


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive's files, which may not leave ``folder``. Raises PnPVideoError."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    for member in archive:  # before Python 3.11.4
        target = (folder / member.name).resolve()
        if not target.is_relative_to(folder.resolve()) or not (member.isfile() or member.isdir()):
            raise PnPVideoError(f"a package holds {member.name!r}, which is no plain file inside its folder")
        archive.extract(member, folder)


def _fetch(folder: Path, name: str, archive: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise PnPVideoError(f"{name} is not in {folder} and npm, which downloads it, was not found; install Node.js")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{name}@{VERSIONS[name]}"]
    packed = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if packed.returncode or not archive.exists():
        raise PnPVideoError(f"npm could not fetch {name}: {packed.stderr.strip() or 'no archive was written'}")
