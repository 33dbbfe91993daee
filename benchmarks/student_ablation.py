"""What each part of a student's training is worth: the same pairs, the same steps, one part left out at a time.

    python -m benchmarks.student_ablation out/cartoon2photo-work out/ablation --steps 1500
    python -m benchmarks.student compare out/ablation/* --clips 8 --sheet out/ablation.png

The first argument is the folder of pairs that "pnpvideo distill" made. A run that was stopped goes on where it was.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

from pnpvideo.backends.load import load
from pnpvideo.student.distill import autoencoder_tower, split, train
from pnpvideo.student.examples import read_examples
from pnpvideo.student.losses import Weights
from pnpvideo.student.network import SHAPES
from pnpvideo.student.pairs import Filter, read_journal
from pnpvideo.student.student_file import Student, StudentCard, save_student
from pnpvideo.student.train import Recipe

SIZE = (256, 256)
EVERYTHING = Filter(least_gain=-math.inf)


def variants(steps: int) -> dict[str, tuple[Filter, Recipe]]:
    """The pairs that pass and the recipe of each student, by name."""
    whole = Recipe(steps=steps, adversarial_after=steps // 4)
    return {
        "whole": (Filter(), whole),
        "no-filter": (EVERYTHING, whole),
        "no-adversarial-loss": (Filter(), replace(whole, weights=Weights(adversarial=0))),
        "no-perceptual-loss": (Filter(), replace(whole, weights=Weights(perceptual=0))),
        "no-flow-loss": (Filter(), replace(whole, weights=Weights(temporal=0))),
        "plain-convolutions": (Filter(), replace(whole, shape=replace(SHAPES["small"], modulated=False))),
    }


def main() -> None:
    """Train a student of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    asked = parser.parse_args()
    tower, pairs = autoencoder_tower(load("miniature")), list(read_journal(asked.work).values())
    asked.output.mkdir(parents=True, exist_ok=True)
    for name, (accepts, recipe) in variants(asked.steps).items():
        if (asked.output / name).exists():
            continue
        learned, _ = split(accepts.of(pairs), 0.1)
        examples = read_examples([(asked.work / pair.source, asked.work / pair.result) for pair in learned], SIZE)
        training = train(examples, recipe, asked.output / f".{name}.safetensors", tower)
        card = StudentCard(shape=recipe.shape, size=SIZE, about=name, training={"recipe": recipe.plain()})
        save_student(Student(training.average, card), asked.output / name)
        print(f"{name}: {len(learned)} pairs, {training.step} steps", flush=True)


if __name__ == "__main__":
    main()
