"""``python -m pnpvideo.miniature.recipe.carry DIR STAGE FOLDER``: reduce a checkpoint to what another machine needs.

Writes FOLDER/STAGE.safetensors, the averaged weights of DIR/STAGE.pt in fp16. The recipe starts from such files in
``pnpvideo/miniature/recipe/kept``.
"""

import argparse
from pathlib import Path

from pnpvideo.miniature.recipe.stage import keep_weights


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pnpvideo.miniature.recipe.carry", description=__doc__)
    parser.add_argument("directory", metavar="DIR", type=Path, help="where the recipe keeps its checkpoints")
    parser.add_argument("stage", help="name of the stage, as in DIR/STAGE.pt")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="receives the file")
    arguments = parser.parse_args()
    print(keep_weights(arguments.directory, arguments.stage, arguments.folder))


if __name__ == "__main__":
    main()
