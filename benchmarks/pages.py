"""Run every command whose table a page shows, and keep what it prints.

    python -m benchmarks.pages out/pages [--page quality.md] [--list]

A run of the whole takes many hours. What a command printed is kept in OUT/PAGE-NUMBER.txt, after the command itself. A
command whose file exists is not run again, so an interrupted run goes on. Commands write into OUT/files what a page has
them write into out/. The tables and the sentences of the pages are edited by hand.
"""

import argparse
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("quality.md", "speed.md")
MEASURING = ("pnpvideo measure ", "pnpvideo bench", "python -m benchmarks.")


def shell_lines(page: Path) -> list[str]:
    """The lines of a page's shell blocks, indented or fenced; a line that ends in a backslash goes on in the next."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```|((?:^    \S.*\n)+(?:^     +\S.*\n)*)", text, re.MULTILINE | re.DOTALL)
    joined = "\n".join(fenced or indented for fenced, indented in blocks).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def measuring_commands(page: Path) -> list[str]:
    """The commands of a page that measure something and need no data from elsewhere."""
    return [
        line for line in shell_lines(page) if line.startswith(MEASURING) and not re.search(r"--device|\bDIR\b", line)
    ]


def run_command(command: str, kept: Path, files: Path) -> float:
    """Run a command from the root of the tree, and write it and its output to ``kept``; return the seconds.

    Exits with the command's status if it fails, and writes nothing then.
    """
    words = [re.sub(r"^out/", f"{files}/", word) for word in shlex.split(command)]
    words = words[1:] if words[0] == "python" else ["-m", "pnpvideo", *words[1:]]
    started = time.monotonic()
    ran = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        sys.exit(f"{command}\nended with status {ran.returncode}")
    kept.write_text(f"$ {command}\n{ran.stdout}", "utf-8")
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of what the commands print")
    parser.add_argument("--page", choices=PAGES, action="append", help="only this page; may be given again")
    parser.add_argument("--list", action="store_true", help="name the commands, and run none")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    for page in arguments.page or PAGES:
        for number, command in enumerate(measuring_commands(ROOT / "docs" / page), 1):
            kept = out / f"{Path(page).stem}-{number}.txt"
            print(f"{kept.name}: {command}", flush=True)
            if not arguments.list and not kept.exists():
                (out / "files").mkdir(parents=True, exist_ok=True)
                print(f"  {run_command(command, kept, out / 'files'):.0f} s", flush=True)


if __name__ == "__main__":
    main()
