"""Mutants of what keeps a jobs file and a sidecar from doing more than they say."""

from .mutant import Mutant

_YAML, _ROWS, _JOURNAL, _CHECKS = (f"pnpvideo/batch/{name}.py" for name in ("yaml_text", "rows", "journal", "checks"))
_SIDECAR = "pnpvideo/sidecar.py"
_FILES, _RUNS = "tests/batch/test_jobs_file.py", "tests/batch/test_runner.py"

MUTANTS = (
    Mutant(
        "YAML has no aliases",
        _YAML,
        'isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None',
        "False",
        (f"{_FILES}::test_what_is_wrong_is_one_clear_error",),
    ),
    Mutant(
        "no key of YAML stands twice",
        _YAML,
        "if name in names:",
        "if False:",
        (f"{_FILES}::test_what_is_wrong_is_one_clear_error",),
    ),
    Mutant(
        "paths stay in the folder of the jobs file",
        _ROWS,
        "os.path.commonpath([real, folder]) != folder",
        "False",
        ("tests/batch/test_rows.py::test_what_is_wrong_names_the_file_and_the_row",),
    ),
    Mutant(
        "an output that was changed is not done",
        _JOURNAL,
        'line if content_hash(output) == line.get("output_sha256") else None',
        "line",
        ("tests/batch/test_journal.py::test_a_row_is_done_while_its_output_stands_as_it_was",),
    ),
    Mutant(
        "only what a killed run left is replaced",
        _CHECKS,
        "row.begun() if journal.was_begun(key) else row",
        "row.begun()",
        (f"{_RUNS}::test_an_output_that_a_killed_run_left_is_made_again",),
    ),
    Mutant(
        "a sidecar names no place to write to",
        _SIDECAR,
        "            if is_repeated(key)\n",
        "",
        ("tests/test_sidecar.py::test_an_option_of_one_call_is_not_taken_from_a_sidecar",),
    ),
)
