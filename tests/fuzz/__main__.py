"""The command: a table of what became of the inputs of each format, and what failed, with how to do it again."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from .pool import outcomes
from .readers import READERS
from .seeds import Seed, corpus
from .worker import Outcome, make, write

FAILED = Path("out/fuzz")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--formats", default="", help="only these rows of the table, with commas between them")
    parser.add_argument("--only", metavar="SEED:INDEX", help="one input again; its files stay in out/fuzz")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        home = Path(name)
        os.environ["HF_HUB_OFFLINE"] = "1"
        for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            os.environ[variable] = name  # what is remembered of one run is not known to the next
        (home / "corpus").mkdir()
        seeds = corpus(home / "corpus")
        _load()
        indices = range(asked.inputs)
        if asked.only:
            asked.seed, index = (int(part) for part in asked.only.split(":"))
            indices = range(index, index + 1)
        forms = set(filter(None, asked.formats.split(",")))
        wanted = (n for n in indices if not forms or make(seeds, asked.seed, n)[0].format in forms)
        found, started = [], time.monotonic()
        for outcome in outcomes(wanted, seeds, READERS, asked.seed, home, asked.workers):
            found.append(outcome)
            if outcome.failure or asked.only:
                _keep(outcome, seeds, asked.seed)
            if outcome.failure:
                print(f"{asked.seed}:{outcome.index} {outcome.format}: {outcome.failure}", flush=True)
            if len(found) % 500 == 0:
                print(f"{len(found)} inputs, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        if asked.only:
            print("accepted" if found[0].accepted else "refused", found[0].said, sep=": ")
        else:
            print(table(found))
            undamaged = [each for each in found if each.index < len(seeds) and not each.accepted and not each.failure]
            for each in undamaged:
                print(f"not accepted though undamaged: {seeds[each.index].name}: {each.said}")
            print(f"{len(found)} inputs in {time.monotonic() - started:.0f} s")
    return 1 if any(outcome.failure for outcome in found) else 0


def _load() -> None:
    """Loads what the readers use, once, before workers are forked."""
    import pnpvideo.cli.settings

    import pnpvideo.backends.stable_diffusion
    import pnpvideo.store
    import pnpvideo.video.masks
    import pnpvideo.words.direction_file  # noqa: F401


def _keep(outcome: Outcome, seeds: Sequence[Seed], seed: int) -> None:
    folder = FAILED / f"{seed}-{outcome.index}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(folder, make(seeds, seed, outcome.index)[1])
    (folder / "said.log").write_text(f"{outcome.failure}\n{outcome.said}\n", "utf-8")


def table(found: list[Outcome]) -> str:
    """Rows of formats, then the kinds of failures, each with its first input."""
    rows = ["| format | inputs | accepted | refused | failures |", "|---|---|---|---|---|"]
    by_format = defaultdict(list)
    for outcome in found:
        by_format[outcome.format].append(outcome)
    for form, those in [*sorted(by_format.items()), ("all", found)]:
        failed = sum(bool(each.failure) for each in those)
        accepted = sum(each.accepted and not each.failure for each in those)
        rows.append(f"| {form} | {len(those)} | {accepted} | {len(those) - accepted - failed} | {failed} |")
    kinds = Counter((each.failure, each.format) for each in found if each.failure)
    first = {(each.failure, each.format): each.index for each in sorted(found, key=lambda each: -each.index)}
    return "\n".join(
        [*rows, *(f"{n} x {form}: {kind} (input {first[kind, form]})" for (kind, form), n in kinds.most_common())]
    )


if __name__ == "__main__":
    sys.exit(main())
