"""The benchmarks of the repository run, and their figures are consistent."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import inside, memory, pages
from benchmarks.cut_clips import made_clips
from benchmarks.cuts import ours
from benchmarks.topology import TOPOLOGIES
from pnpvideo.backends.quiet import quiet_libraries

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


@pytest.mark.slow
def test_clips_for_cut_detectors_are_the_same_each_time_and_their_cuts_are_found() -> None:
    clips, again = ([*made_clips(0, ["ticker"])] for _ in range(2))
    assert [clip.cuts for clip in clips] == [clip.cuts for clip in again]
    for clip, same in zip(clips, again, strict=True):
        assert np.array_equal(clip.frames, same.frames)
        assert ours()(clip.frames) == list(clip.cuts)


@pytest.mark.slow
def test_the_table_of_cut_detectors_says_whose_they_are() -> None:
    asked = [sys.executable, "-m", "benchmarks.cuts", "--seed", "0", "--kinds", "ticker"]
    printed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "| pnpvideo | 1.000 | 1.000 |" in printed
    assert ("| AdaptiveDetector |" in printed) != ("PySceneDetect is not installed" in printed)


def test_estimates_of_memory_grow_with_the_picture_and_are_those_of_the_documentation() -> None:
    """The page has them in GiB; a new size of any part changes them."""
    page = (ROOT / "docs" / "own-checkpoint.md").read_text("utf-8")
    for name in ("sd15", "sd21"):
        with quiet_libraries():
            held = memory.footprint(TOPOLOGIES[name])
        found = memory.peaks(held)
        assert held.weights < found["still"] < found["clip, at the least"] < found["clip"]
        cells = " | ".join(f"{value / 2**30:.1f}" for value in (held.weights, *found.values()))
        assert f"| `{name}` | {8 * TOPOLOGIES[name].cells} | {cells} |" in page, "run: python -m benchmarks.memory"


def test_the_commands_that_measure_are_found_in_both_kinds_of_blocks(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "# Page\n\n    pnpvideo measure world --clips 2 \\\n        -o out/world\n\nText.\n\n    not a command\n\n"
        "```sh\npnpvideo measure art DIR\npython -m benchmarks.length\npnpvideo doctor\n```\n\n"
        "    python -m benchmarks.full_size --device cuda\n"
    )
    assert pages.measuring_commands(tmp_path / "page.md") == [
        "pnpvideo measure world --clips 2 -o out/world",
        "python -m benchmarks.length",
    ]


def test_what_a_command_prints_is_kept_after_it_and_a_failure_keeps_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "quality-1.txt"
    pages.run_command("pnpvideo --version", kept, tmp_path)
    assert kept.read_text().startswith("$ pnpvideo --version\npnpvideo")
    with pytest.raises(SystemExit, match="ended with status 2"):
        pages.run_command("pnpvideo measure nothing", tmp_path / "quality-2.txt", tmp_path)
    assert not (tmp_path / "quality-2.txt").exists()


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_page_of_figures_has_commands(page: str) -> None:
    assert pages.measuring_commands(ROOT / "docs" / page)


def test_every_picture_of_the_page_on_the_inside_has_its_command() -> None:
    outputs = [words[words.index("-o") + 1] for words in inside.commands()]
    text = inside.PAGE.read_text("utf-8")
    assert outputs == re.findall(r"!\[.*\]\((inside-.*)\)", text)
    for name in outputs:
        assert 0 < (inside.PAGE.parent / name).stat().st_size <= inside.MOST_BYTES


def test_the_numbers_of_a_picture_are_a_line_a_map() -> None:
    layer = {"part": "decoder", "layer": 4, "timestep": 563.0, "noise": 0.9, "kind": "residual"}
    facts = {"maps": [{**layer, "explained_by_place": 0.9, "explained_variance": [0.5, 0.25]}]}
    assert inside.figures(facts) == ["  decoder 4, t = 563: explained_by_place 0.900, explained_variance [0.500 0.250]"]
    words = {"maps": [{"lane": "source", "tokens": [{"token": "ball", "mean": 0.1, "largest": 0.5}]}]}
    assert inside.figures(words) == ["  source: ball 0.500"]
