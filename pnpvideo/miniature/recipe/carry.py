"""``python -m pnpvideo.miniature.recipe.carry CHECKPOINT SMALLER``: what is worth carrying to another machine.

The moving average alone, in fp16, as a checkpoint that is done: later stages begin with it; it cannot be trained on.
"""

import argparse
from pathlib import Path

import torch


def carry(checkpoint: Path, smaller: Path) -> None:
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    averaged = {name: value.half() for name, value in saved["averaged"].items()}
    kept = {key: saved[key] for key in ("step", "processor_seconds")}
    torch.save({"averaged": averaged, "done": True, **kept}, smaller)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("smaller", type=Path)
    asked = parser.parse_args()
    carry(asked.checkpoint, asked.smaller)
