"""The judge's training data for one picture: its caption, a false caption, and the true answers to the questions.

A false caption differs in one fact. In the procedural world: the colour or shape of a thing, the colours of two things
swapped, the ground, the sky or the style. For drawings: the name of a thing, the look or the backdrop.
"""

from dataclasses import replace
from random import Random
from typing import NamedTuple

from pnpvideo.miniature.art.captions import LOOK_WORDS, art_caption, with_article
from pnpvideo.miniature.art.names import training_names
from pnpvideo.miniature.art.scene import BACKDROP_COLOURS, ArtInstant, PlainBackdrop
from pnpvideo.miniature.art.sprites import LOOKS
from pnpvideo.miniature.recipe.data import (
    ArtPictures,
    Pictures,
    training_art_instant,
    training_instant,
    training_styles,
)
from pnpvideo.miniature.world import STYLES, Instant, caption
from pnpvideo.miniature.world.questions import QUESTIONS, answers
from pnpvideo.miniature.world.scene import COLOURS, GROUNDS, SKIES
from pnpvideo.miniature.world.shapes import SHAPES

NAMES_PER_STEP = 48
"""Names of drawings that are possible answers in one step: those in the pictures, and others."""


class JudgeSample(NamedTuple):
    """Texts of one picture. answers: question -> its true answers; empty or missing where it does not apply."""

    caption: str
    false_caption: str
    answers: dict[str, set[str]]


def judge_sample(pictures: Pictures, index: int, column: int, rng: Random) -> JudgeSample:
    """The sample of scene ``index`` in its ``column``-th look; both captions use the same synonyms and word order."""
    wording = rng.getrandbits(32)
    if isinstance(pictures, ArtPictures):
        drawing, look = training_art_instant(index), LOOKS[column]
        false_drawing, false_look = change_one_art_fact(drawing, look, rng)
        true_answers = {"look": {look}, "name": {thing.name.text for thing in drawing.things}}
        false_caption = art_caption(false_drawing, false_look, Random(wording))
        return JudgeSample(art_caption(drawing, look, Random(wording)), false_caption, true_answers)
    scene, style = training_instant(index), training_styles(index)[column]
    false_caption = caption(*change_one_fact(scene, style, rng), Random(wording))
    return JudgeSample(caption(scene, style, Random(wording)), false_caption, answers(scene, style))


def questions(names_shown: set[str], rng: Random) -> dict[str, dict[str, tuple[str, ...]]]:
    """Question -> answer -> its wordings. The names are ``names_shown``, and others up to NAMES_PER_STEP."""
    others = [name.text for name in training_names() if name.text not in names_shown]
    names = sorted(names_shown) + rng.sample(others, max(0, NAMES_PER_STEP - len(names_shown)))
    return {
        **QUESTIONS,
        "look": {look: tuple(words.removesuffix(" of") for words in LOOK_WORDS[look]) for look in LOOKS},
        "name": {name: (with_article(name),) for name in names},
    }


def change_one_fact(scene: Instant, style: str, rng: Random) -> tuple[Instant, str]:
    """The scene and style with one random fact changed."""
    kind = rng.choice(("colour", "shape", "swap", "ground", "sky", "style"))
    things = list(scene.things)
    which = rng.randrange(len(things))
    if kind == "swap" and len(things) > 1 and things[0].shape != things[1].shape:
        things[0], things[1] = (
            replace(things[0], colour=things[1].colour),
            replace(things[1], colour=things[0].colour),
        )
    elif kind in ("colour", "swap"):
        things[which] = replace(things[which], colour=_choose_other(rng, tuple(COLOURS), things[which].colour))
    elif kind == "shape":
        things[which] = replace(things[which], shape=_choose_other(rng, tuple(SHAPES), things[which].shape))
    elif kind == "ground":
        return replace(scene, ground=_choose_other(rng, GROUNDS, scene.ground)), style
    elif kind == "sky":
        return replace(scene, sky=_choose_other(rng, SKIES, scene.sky)), style
    else:
        return scene, _choose_other(rng, tuple(STYLES), style)
    return replace(scene, things=tuple(things)), style


def change_one_art_fact(scene: ArtInstant, look: str, rng: Random) -> tuple[ArtInstant, str]:
    """The drawing and look with one random fact changed."""
    kind, backdrop = rng.choice(("name", "name", "look", "backdrop")), scene.backdrop
    if kind == "look":
        return scene, _choose_other(rng, LOOKS, look)
    if kind == "backdrop" and isinstance(backdrop, PlainBackdrop):
        colour = _choose_other(rng, tuple(BACKDROP_COLOURS), backdrop.colour)
        return replace(scene, backdrop=replace(backdrop, colour=colour)), look
    if kind == "backdrop" and isinstance(backdrop, Instant):
        return replace(scene, backdrop=replace(backdrop, ground=_choose_other(rng, GROUNDS, backdrop.ground))), look
    things, which = list(scene.things), rng.randrange(len(scene.things))
    others = [name for name in training_names() if name not in {thing.name for thing in things}]
    things[which] = replace(things[which], name=rng.choice(others))
    return replace(scene, things=tuple(things)), look


def _choose_other(rng: Random, values: tuple[str, ...], true: str) -> str:
    return rng.choice([value for value in values if value != true])
