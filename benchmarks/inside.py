"""Make the pictures of docs/inside.md anew, by the commands that the page names: ``python -m benchmarks.inside``.

Prints the numbers that the page's sentences cite; where they have changed, so must the sentences.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.pages import shell_lines

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/inside.md"
MOST_BYTES = 300_000


def commands(page: Path = PAGE) -> list[list[str]]:
    """The inspect commands of a page's shell blocks, each as words."""
    return [shlex.split(line) for line in shell_lines(page) if line.startswith("pnpvideo inspect ")]


def figures(facts: dict[str, Any]) -> list[str]:
    """A line for each map of an inspection, with its numbers."""
    lines = []
    for one in facts["maps"]:
        name = f"{one['part']} {one['layer']}, t = {one['timestep']:.0f}" if "layer" in one else one["lane"]
        values = {key: one[key] for key in one if key not in ("timestep", "noise", "tokens", "lane", "cells")}
        values |= {token["token"]: token["largest"] for token in one.get("tokens", ())}
        shown = [f"{key} {_rounded(value)}" for key, value in values.items() if isinstance(value, float | list)]
        lines.append(f"  {name}: {', '.join(shown)}")
    return lines


def _rounded(value: Any) -> str:
    return f"[{' '.join(map(_rounded, value))}]" if isinstance(value, list) else f"{value:.3f}"


def main() -> None:
    """Run every command from the root of the tree, with the sheets in docs/ instead of the current folder."""
    for words in commands():
        place = words.index("-o") + 1
        sheet = ROOT / "docs" / words[place]
        words[place] = str(sheet)
        arguments = [*words[1:], "--overwrite", "--progress", "none"]
        subprocess.run([sys.executable, "-m", "pnpvideo", *arguments], check=True, cwd=ROOT, env=os.environ)
        numbers = sheet.with_suffix(".json")
        facts = json.loads(numbers.read_text("utf-8"))
        numbers.unlink()
        print("\n".join([f"{sheet.name}, {sheet.stat().st_size / 1000:.0f} KB", *figures(facts)]), flush=True)
        if sheet.stat().st_size > MOST_BYTES:
            sys.exit(f"{sheet.name} is larger than {MOST_BYTES / 1000:.0f} KB; a smaller --tile, or fewer layers")


if __name__ == "__main__":
    main()
