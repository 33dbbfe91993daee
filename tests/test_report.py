"""Facts of a run for JSON, and the start of the command."""

import hashlib
import subprocess
import sys
from pathlib import Path

from pnpvideo.__main__ import SIGNALS
from pnpvideo.report import file_hash


def test_a_file_is_hashed_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000  # more than one block
    (tmp_path / "file").write_bytes(content)
    assert file_hash(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_the_package_runs_as_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "pnpvideo", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("pnpvideo ") and len(SIGNALS) >= 2
