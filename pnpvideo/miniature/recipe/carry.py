"""``python -m pnpvideo.miniature.recipe.carry CHECKPOINT SMALLER``: keep what is worth carrying to another machine."""

import argparse
from pathlib import Path

from pnpvideo.miniature.recipe.stage import carry

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("smaller", type=Path)
    asked = parser.parse_args()
    carry(asked.checkpoint, asked.smaller)
