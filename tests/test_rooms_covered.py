"""The table of ``make coverage``."""

from tests.rooms_covered import table


def test_coverage_is_summed_by_room_and_low_files_are_listed_worst_first() -> None:
    files = {
        "cli/commands/edit.py": (5, 10),
        "pnpvideo/engine.py": (9, 10),
        "pnpvideo/video/read.py": (8, 10),
        "pnpvideo/video/gif.py": (10, 10),
        "pnpvideo/video/__init__.py": (0, 0),
    }
    lines = table(files).splitlines()
    assert lines[2:6] == [
        "| . | 10 | 90.0% |",
        "| cli | 10 | 50.0% |",
        "| video | 20 | 90.0% |",
        "| **total** | 40 | 80.0% |",
    ]
    assert lines[-2:] == [" 50.0%  cli/commands/edit.py", " 80.0%  pnpvideo/video/read.py"]
