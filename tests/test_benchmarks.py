"""The benchmarks of the repository run, and their figures are consistent."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--width", "0.1", "--side", "16", "--steps", "6"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_a_guided_step_holds_more_than_a_plain_one_and_all_maps_more_than_one_steps() -> None:
    held = {}
    for row in ("guidance by words alone", "lock-step", "maps of all steps kept"):
        asked = [sys.executable, "-m", "benchmarks.guided_step", *SMALL, "--row", row]
        ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
        found = json.loads(ran.stdout)
        assert found["seconds"] > 0
        held[row] = found["mib"]
    assert held["guidance by words alone"] < held["lock-step"] < held["maps of all steps kept"]
