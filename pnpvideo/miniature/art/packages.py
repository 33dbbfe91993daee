"""The packages of drawings that the recipe trains on, fetched with the npm registry's own client.

Microsoft's Fluent emoji: one team's drawings of the same things in several looks, under the MIT licence. They are not
part of this repository.
"""

import shutil
import subprocess
import tarfile
from pathlib import Path

from pnpvideo.errors import PnPVideoError

THREE_D, GRADIENT, FLAT = "@lobehub/fluent-emoji-3d", "@iconify-json/fluent-emoji", "@iconify-json/fluent-emoji-flat"
ANIMATED = tuple(f"@lobehub/fluent-emoji-anim-{number}" for number in range(1, 5))
VERSIONS = {THREE_D: "1.1.0", GRADIENT: "1.2.7", FLAT: "1.2.6", **dict.fromkeys(ANIMATED, "1.0.0")}


def package(folder: Path, name: str) -> Path:
    """The unpacked package ``name`` under ``folder``, fetched with ``npm pack`` unless it or its archive is there.

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
            files.extractall(unpacked, filter="data")
        unpacked.rename(place)
    return place / "package"


def _fetch(folder: Path, name: str, archive: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise PnPVideoError(f"{name} is not in {folder} and npm, which fetches it, was not found; install Node.js")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{name}@{VERSIONS[name]}"]
    packed = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if packed.returncode or not archive.exists():
        raise PnPVideoError(f"npm could not fetch {name}: {packed.stderr.strip() or 'no archive was written'}")
