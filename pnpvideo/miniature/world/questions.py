"""Questions for zero-shot classification of the world's pictures: the possible answers and their wordings.

A CLIP model answers with the wording that is most similar to the picture.
"""

from pnpvideo.miniature.world.captions import (
    GROUND_WORDS,
    SHAPE_WORDS,
    SKY_WORDS,
    STYLE_TAILS,
    STYLE_WORDS,
    STYLES_WITHOUT_SKY,
    thing_phrase,
)
from pnpvideo.miniature.world.scene import COLOURS, Instant, Scene, Thing

ATTRIBUTES = ("style", "shape", "colour", "ground", "sky")
_COLOUR_TEMPLATES = ("a {} thing", "something {}", "a {} object")

QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "style": {
        style: (*(words.removesuffix(" of") for words in STYLE_WORDS[style]), *STYLE_TAILS[style])
        for style in STYLE_WORDS
    },
    "shape": {shape: tuple(f"a {noun}" for noun in nouns) for shape, nouns in SHAPE_WORDS.items()},
    "colour": {colour: tuple(template.format(colour) for template in _COLOUR_TEMPLATES) for colour in COLOURS},
    "ground": dict(GROUND_WORDS),
    "sky": dict(SKY_WORDS),
    "thing": {
        f"{colour} {shape}": (thing_phrase(Thing(shape=shape, colour=colour)),)
        for colour in COLOURS
        for shape in SHAPE_WORDS
    },
}
"""Question -> answer -> wordings. "thing" asks for the colour and the shape of one thing together."""


def answers(scene: Scene | Instant, style: str) -> dict[str, set[str]]:
    """Question -> the true answers for ``scene`` in ``style``; an empty set where the picture does not show it."""
    return {
        "style": {style},
        "shape": {thing.shape for thing in scene.things},
        "colour": {thing.colour for thing in scene.things},
        "ground": {scene.ground},
        "sky": set() if style in STYLES_WITHOUT_SKY else {scene.sky},
        "thing": {f"{thing.colour} {thing.shape}" for thing in scene.things},
    }
