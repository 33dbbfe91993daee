"""Mutants of what inspections show and write."""

from .mutant import Mutant

_INSPECTION, _COMMAND = "cli/inspection.py", "tests/cli/test_inspect.py"
_RECORD, _FEATURES = "pnpvideo/inspect/record.py", "tests/inspect/test_feature_maps.py"

MUTANTS = (
    Mutant(
        "an inspection does not replace its own input",
        _INSPECTION,
        "path.exists() and source.exists() and path.samefile(source)",
        "False",
        (_COMMAND,),
    ),
    Mutant(
        "an inspection replaces nothing unasked, and fails before it loads anything",
        _INSPECTION,
        "check_file(path, self.overwrite)",
        "pass",
        (_COMMAND,),
    ),
    Mutant(
        "what is drawn is the level that an edit sees",
        _RECORD,
        "latents = subject.trajectory.at(level.number)",
        "latents = subject.trajectory.at(level.number - 1)",
        (_FEATURES,),
    ),
    Mutant(
        "a step that is made again counts once in word maps",
        _RECORD,
        "self.sums.pop((lane, moment.step), None)",
        "pass",
        ("tests/inspect/test_record.py",),
    ),
)
