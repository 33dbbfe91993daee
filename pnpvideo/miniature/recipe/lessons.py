"""What the judge is taught of one picture: its caption, one that is false, and true answers to questions.

A caption's false twin differs in one fact: of the procedural world a thing's colour or shape, two things' colours
swapped, ground, sky or style; of the world of art a thing's name, the look or the backdrop.
"""

from dataclasses import replace
from random import Random
from typing import NamedTuple

from pnpvideo.miniature.art.captions import LOOK_WORDS, art_caption, with_article
from pnpvideo.miniature.art.names import trained_names
from pnpvideo.miniature.art.scene import GROUND, ArtInstant, Plain
from pnpvideo.miniature.art.sprites import LOOKS
from pnpvideo.miniature.recipe.data import ArtPictures, Pictures, art_moment, moment, styles_of
from pnpvideo.miniature.world import STYLES, Instant, caption
from pnpvideo.miniature.world.questions import QUESTIONS, answers
from pnpvideo.miniature.world.scene import COLOURS, GROUNDS, SKIES
from pnpvideo.miniature.world.shapes import SHAPES

NAMES_ASKED = 48
"""Of the names of drawings, so many are asked in one step: those that are shown, and others."""


class Lesson(NamedTuple):
    """One picture's words. truths: question -> its true answers, none where it does not apply."""

    caption: str
    lie: str
    truths: dict[str, set[str]]


def lesson(pictures: Pictures, index: int, column: int, rng: Random) -> Lesson:
    """The lesson of scene ``index`` in its ``column``-th look; caption and lie are worded alike."""
    wording = rng.getrandbits(32)
    if isinstance(pictures, ArtPictures):
        drawing, look = art_moment(index), LOOKS[column]
        false_drawing, false_look = art_lie(drawing, look, rng)
        truths = {"look": {look}, "name": {thing.name.text for thing in drawing.things}}
        false = art_caption(false_drawing, false_look, Random(wording))
        return Lesson(art_caption(drawing, look, Random(wording)), false, truths)
    scene, style = moment(index), styles_of(index)[column]
    false = caption(*lie(scene, style, rng), Random(wording))
    return Lesson(caption(scene, style, Random(wording)), false, answers(scene, style))


def questions(shown: set[str], rng: Random) -> dict[str, dict[str, tuple[str, ...]]]:
    """Question -> answer -> its wordings. Of names: those ``shown``, and others up to NAMES_ASKED."""
    others = [name.text for name in trained_names() if name.text not in shown]
    names = sorted(shown) + rng.sample(others, max(0, NAMES_ASKED - len(shown)))
    return {
        **QUESTIONS,
        "look": {look: tuple(words.removesuffix(" of") for words in LOOK_WORDS[look]) for look in LOOKS},
        "name": {name: (with_article(name),) for name in names},
    }


def lie(scene: Instant, style: str, rng: Random) -> tuple[Instant, str]:
    """The same with one fact changed."""
    kind = rng.choice(("colour", "shape", "swap", "ground", "sky", "style"))
    things = list(scene.things)
    which = rng.randrange(len(things))
    if kind == "swap" and len(things) > 1 and things[0].shape != things[1].shape:
        things[0], things[1] = (
            replace(things[0], colour=things[1].colour),
            replace(things[1], colour=things[0].colour),
        )
    elif kind in ("colour", "swap"):
        things[which] = replace(things[which], colour=_other(rng, tuple(COLOURS), things[which].colour))
    elif kind == "shape":
        things[which] = replace(things[which], shape=_other(rng, tuple(SHAPES), things[which].shape))
    elif kind == "ground":
        return replace(scene, ground=_other(rng, GROUNDS, scene.ground)), style
    elif kind == "sky":
        return replace(scene, sky=_other(rng, SKIES, scene.sky)), style
    else:
        return scene, _other(rng, tuple(STYLES), style)
    return replace(scene, things=tuple(things)), style


def art_lie(scene: ArtInstant, look: str, rng: Random) -> tuple[ArtInstant, str]:
    """The same with one fact changed."""
    kind, backdrop = rng.choice(("name", "name", "look", "backdrop")), scene.backdrop
    if kind == "look":
        return scene, _other(rng, LOOKS, look)
    if kind == "backdrop" and isinstance(backdrop, Plain):
        return replace(scene, backdrop=replace(backdrop, colour=_other(rng, tuple(GROUND), backdrop.colour))), look
    if kind == "backdrop" and isinstance(backdrop, Instant):
        return replace(scene, backdrop=replace(backdrop, ground=_other(rng, GROUNDS, backdrop.ground))), look
    things, which = list(scene.things), rng.randrange(len(scene.things))
    named = [name for name in trained_names() if name not in {thing.name for thing in things}]
    things[which] = replace(things[which], name=rng.choice(named))
    return replace(scene, things=tuple(things)), look


def _other(rng: Random, values: tuple[str, ...], true: str) -> str:
    return rng.choice([value for value in values if value != true])
