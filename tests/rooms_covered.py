"""Print the coverage of the last ``make coverage`` by room, and its files under LOW percent.

Lines and branches count together, as in coverage's own total.
"""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

from coverage import Coverage

LOW = 90.0

Counts = tuple[int, int]
"""(covered, all) lines and branches."""


def room(file: str) -> str:
    """The package of a file, such as "measure"; "." for modules directly in pnpvideo/."""
    parts = Path(file).parts
    return parts[0] if parts[0] == "cli" else parts[1] if len(parts) > 2 else "."


def share(counts: Counts) -> float:
    """Percent covered; 100 for files without any line."""
    covered, every = counts
    return 100.0 * covered / every if every else 100.0


def table(files: dict[str, Counts]) -> str:
    """A Markdown table by room and in total, and a list of the files under LOW percent, worst first."""
    rooms: dict[str, Counts] = defaultdict(lambda: (0, 0))
    for file, (covered, every) in files.items():
        for key in (room(file), "total"):
            rooms[key] = (rooms[key][0] + covered, rooms[key][1] + every)
    rows = [
        f"| {name} | {counts[1]} | {share(counts):.1f}% |" for name, counts in sorted(rooms.items()) if name != "total"
    ]
    rows.append(f"| **total** | {rooms['total'][1]} | {share(rooms['total']):.1f}% |")
    low = sorted((share(counts), file) for file, counts in files.items() if share(counts) < LOW)
    listed = [f"{percent:5.1f}%  {file}" for percent, file in low] or ["none"]
    return "\n".join(
        ["| room | lines and branches | covered |", "|---|---|---|", *rows, "", f"Files under {LOW:.0f}%:", *listed]
    )


def main() -> None:
    data = Coverage()
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        data.json_report(outfile=str(path))
        found = json.loads(path.read_text(encoding="utf-8"))["files"]
    files = {}
    for file, each in found.items():
        summary = each["summary"]
        covered = summary["covered_lines"] + summary["covered_branches"]
        files[file] = (covered, summary["num_statements"] + summary["num_branches"])
    print(table(files))


if __name__ == "__main__":
    main()
