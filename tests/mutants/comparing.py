"""Mutants of what keeps the page of a comparison closed and exact."""

from .mutant import Mutant

_RENDER, _RUNS, _LINE, _MEDIA = (f"pnpvideo/compare/{name}.py" for name in ("render", "runs", "timeline", "media"))
_PAGE = "tests/compare/test_page.py"

MUTANTS = (
    Mutant(
        "texts in a page are escaped",
        _RENDER,
        "autoescape=True",
        "autoescape=False",
        (f"{_PAGE}::test_names_prompts_and_reports_are_text",),
    ),
    Mutant(
        "the policy of a page names the script that is in it",
        _RENDER,
        "script_hash=_hash(script)",
        "script_hash=_hash(style)",
        (f"{_PAGE}::test_the_policy_allows_this_style_and_this_script_and_nothing_else",),
    ),
    Mutant(
        "a report is an object with a prompt or options",
        _RUNS,
        "    if not isinstance(loaded, dict) or not ",
        "    if not ",
        ("tests/compare/test_runs.py::test_what_is_no_report_is_one_clear_error",),
    ),
    Mutant(
        "no frame of a clip is left out of the time line",
        _LINE,
        "TOLERANCE = Fraction(1, 4)\n",
        "TOLERANCE = Fraction(1, 1)\n",
        ("tests/compare/test_timeline.py",),
    ),
    Mutant(
        "a page holds a limited number of frames",
        _MEDIA,
        "        media = [_until(each, cut) for each in media]\n",
        "",
        ("tests/compare/test_media.py::test_a_long_clip_is_cut_for_all_and_that_is_said",),
    ),
)
