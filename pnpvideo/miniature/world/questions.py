"""What can be asked of a picture of the world, the answers to choose from, and how each is worded.

A judge answers by taking the wording that it finds most like the picture (zero-shot classification).
"""

from pnpvideo.miniature.world.captions import (
    GROUND_WORDS,
    SHAPE_WORDS,
    SKY_WORDS,
    SKYLESS,
    STYLE_TAILS,
    STYLE_WORDS,
    name,
)
from pnpvideo.miniature.world.scene import COLOURS, Instant, Scene, Thing

ATTRIBUTES = ("style", "shape", "colour", "ground", "sky")
_COLOUR_FRAMES = ("a {} thing", "something {}", "a {} object")

QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "style": {
        style: (*(words.removesuffix(" of") for words in STYLE_WORDS[style]), *STYLE_TAILS[style])
        for style in STYLE_WORDS
    },
    "shape": {shape: tuple(f"a {noun}" for noun in nouns) for shape, nouns in SHAPE_WORDS.items()},
    "colour": {colour: tuple(frame.format(colour) for frame in _COLOUR_FRAMES) for colour in COLOURS},
    "ground": dict(GROUND_WORDS),
    "sky": dict(SKY_WORDS),
    "thing": {
        f"{colour} {shape}": (name(Thing(shape=shape, colour=colour)),) for colour in COLOURS for shape in SHAPE_WORDS
    },
}
"""Question -> answer -> its wordings. "thing" asks for colour and shape of one thing together."""


def answers(scene: Scene | Instant, style: str) -> dict[str, set[str]]:
    """Question -> the answers that are true of ``scene`` drawn in ``style``; none where it cannot be seen."""
    return {
        "style": {style},
        "shape": {thing.shape for thing in scene.things},
        "colour": {thing.colour for thing in scene.things},
        "ground": {scene.ground},
        "sky": set() if style in SKYLESS else {scene.sky},
        "thing": {f"{thing.colour} {thing.shape}" for thing in scene.things},
    }
