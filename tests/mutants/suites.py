"""Mutants of what keeps the runner of public benchmarks from measuring something else than it says."""

from .mutant import Mutant

_FOLDER = "pnpvideo/measure/suites"
_PIE, _RUNS = "tests/measure/suites/test_pie.py", "tests/measure/suites/test_runner.py"
_WRONG_ROW = (f"{_PIE}::test_a_wrong_row_is_one_line_that_names_it",)

MUTANTS = (
    Mutant(
        "a mask has whole pairs",
        f"{_FOLDER}/mask_runs.py",
        "if len(runs) % 2:",
        "if False:",
        _WRONG_ROW,
    ),
    Mutant(
        "a run of a mask starts in the picture",
        f"{_FOLDER}/mask_runs.py",
        "if not whole or value < 0 or (is_start and value >= side * side):",
        "if not whole:",
        _WRONG_ROW,
    ),
    Mutant(
        "pictures of a benchmark lie in its folder",
        f"{_FOLDER}/records.py",
        'if not inside or ".." in path.parts',
        "if not inside",
        _WRONG_ROW,
    ),
    Mutant(
        "a picture has the size of its mask",
        f"{_FOLDER}/pie.py",
        "if size != (SIDE, SIDE):",
        "if False:",
        (f"{_PIE}::test_a_missing_or_wrong_picture_is_named",),
    ),
    Mutant(
        "a result on disk is taken by its key",
        f"{_FOLDER}/results_folder.py",
        "if image.info.get(FIELD) != key:",
        "if False:",
        (f"{_RUNS}::test_results_say_what_made_them",),
    ),
)
