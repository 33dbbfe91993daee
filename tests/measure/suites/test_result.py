"""Tables and JSON of a benchmark's result."""

import json
import math
from collections.abc import Mapping

import pytest

from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.pie import PIE
from pnpvideo.measure.suites.result import SuiteResult

ROWS = [
    ("add object", {"psnr": 20.0, "mse": 0.01, "ssim": 0.9, "match": 25.0}),
    ("change style", {"psnr": float("nan"), "mse": float("nan"), "ssim": float("nan"), "match": 27.0}),
]


def result(rows: int = 2) -> SuiteResult:
    protocol = {
        "rows": rows,
        "model": "sd15 (0123456789ab)",
        "judges": {"CLIP": "clip (ab)"},
        "set for all": {"seed": 3},
        "recipes": {"ours": {"steps": 5}, "plain": {}},
    }
    figures: Mapping[Mode, Mapping[str, list[tuple[str, dict[str, float]]]]] = {mode: {"ours": ROWS} for mode in Mode}
    return SuiteResult(PIE, protocol, figures, {"LPIPS": "no weights were named"})


def test_means_leave_out_what_is_undefined() -> None:
    means = result().means(Mode.STRICT)["ours"]
    assert means == {"psnr": 20.0, "mse": 0.01, "ssim": 0.9, "match": 26.0}
    assert math.isnan(result().means(Mode.STRICT, "change style")["ours"]["psnr"])


def test_the_table_has_the_columns_of_the_paper_and_its_rows() -> None:
    lines = result().markdown().splitlines()
    heads = [line for line in lines if line.startswith("| recipe")]
    assert (
        heads[0]
        == heads[1]
        == (
            "| recipe | structure x 1000 | PSNR dB, background | LPIPS x 1000, background | MSE x 10000, background "
            "| SSIM x 100, background | CLIP, whole | CLIP, edited |"
        )
    )
    assert lines.count("| ours | not run | 20.00 | not run | 100.00 | 90.00 | 26.00 | not run |") == 2
    published = "| DDIM + Plug-and-Play [1] | 28.22 | 22.28 | 113.46 | 83.64 | 79.05 | 25.41 | 22.55 |"
    assert lines.count(published) == 1 and lines.index(published) < lines.index("### PIE-Bench, strict")


def test_the_table_says_how_it_was_made() -> None:
    said = result().markdown()
    assert (
        "2 of 700 edits; the published rows are of all of them. Model sd15 (0123456789ab). Judges: CLIP clip (ab)."
        in said
    )
    assert "Not run: LPIPS: no weights were named." in said and "[1] published: arXiv 2310.01506" in said
    assert "All recipes: seed 3.\n\nours: steps 5.\n\nplain: what the model recommends.\n" in said
    assert "compat: as the paper's code computes them: results pass through JPEG" in said
    assert "700 of 700 edits. Model" in result(700).markdown()


def test_the_json_is_strict_and_counts_the_rows() -> None:
    stated = json.loads(result().json(), parse_constant=pytest.fail)
    assert stated["rows counted"]["strict"]["ours"] == {
        **dict.fromkeys(PIE.columns, 0),
        **{"psnr": 1, "mse": 1, "ssim": 1, "match": 2},
    }
    assert stated["by kind"]["strict"]["change style"]["ours"]["mse"] is None
    assert stated["published"][0]["figures"]["psnr"] == 22.28
    assert stated["not run"] == {"LPIPS": "no weights were named"} and stated["protocol"]["rows"] == 2
