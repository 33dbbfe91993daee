"""``python -m pnpvideo.miniature.recipe.carry CHECKPOINT SMALLER``: keep the averaged weights of a checkpoint, in fp16.

The result counts as a finished stage: later stages start from it, but it cannot be trained further. It is small enough
to be copied to another machine.
"""

import argparse
from pathlib import Path

import torch


def carry(checkpoint: Path, smaller: Path) -> None:
    """Write the moving average of ``checkpoint`` in fp16, marked as done, to ``smaller``."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    averaged = {name: value.half() for name, value in saved["averaged"].items()}
    counts = {key: saved[key] for key in ("step", "processor_seconds")}
    torch.save({"averaged": averaged, "done": True, **counts}, smaller)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("smaller", type=Path)
    arguments = parser.parse_args()
    carry(arguments.checkpoint, arguments.smaller)


if __name__ == "__main__":
    main()
