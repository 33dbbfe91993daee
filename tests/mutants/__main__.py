"""The command: tries every mutant and says which were killed and which survived."""

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .listed import MUTANTS
from .mutant import Mutant, Verdict, attempt, copy_tree, preload, run_tests

LEAST_KILLED = 0.9


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose file or purpose has TEXT in it")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if asked.only in f"{mutant.file} {mutant.guards}"]
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folders = [Path(name, str(n)) for n in range(asked.workers)]
        for folder in folders:
            copy_tree(folder)
        if stale := [problem for mutant in chosen if (problem := mutant.problem(folders[0]))]:
            print(*stale, "bring these up to date", sep="\n")
            return 1
        preload()
        status, said = run_tests(folders[0], sorted({test for mutant in chosen for test in mutant.tests}), 30 * 60)
        if status != 0:
            print(said, "the tests do not pass before anything is changed", sep="\n")
            return 1
        verdicts = []
        for verdict in judged(chosen, folders):
            verdicts.append(verdict)
            print(
                f"{verdict.outcome:8} {verdict.seconds:5.1f} s  {verdict.mutant.file}: {verdict.mutant.guards}",
                flush=True,
            )
    return summary(verdicts)


def judged(chosen: list[Mutant], folders: list[Path]) -> Iterator[Verdict]:
    """The verdicts, as they come, of one process a folder."""
    context = multiprocessing.get_context("fork")
    verdicts = context.SimpleQueue()
    shares = [(chosen[n :: len(folders)], folder) for n, folder in enumerate(folders)]
    workers = [context.Process(target=_judge, args=(*share, verdicts.put)) for share in shares]
    for worker in workers:
        worker.start()
    yield from (verdicts.get() for _ in chosen)
    for worker in workers:
        worker.join()


def _judge(mutants: list[Mutant], folder: Path, put: Callable[[Verdict], None]) -> None:
    for mutant in mutants:
        put(attempt(mutant, folder))


def summary(verdicts: list[Verdict]) -> int:
    """Print what did not go as it should, and the count; the exit status."""
    for verdict in verdicts:
        if verdict.outcome != "killed":
            change = f"- {verdict.mutant.old}\n+ {verdict.mutant.new}"
            print(f"\n{verdict.outcome}: {verdict.mutant.guards}\n{change}\n{' '.join(verdict.mutant.tests)}")
        if verdict.outcome == "error":
            print(verdict.said)
    killed = sum(verdict.outcome == "killed" for verdict in verdicts)
    print(f"\n{killed} of {len(verdicts)} mutants killed")
    sound = all(verdict.outcome != "error" for verdict in verdicts)
    return 0 if sound and killed >= LEAST_KILLED * len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
