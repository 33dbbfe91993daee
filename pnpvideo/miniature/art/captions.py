"""Captions of drawings, such as "a 3d render of a fish on a plain blue background"."""

from random import Random

from pnpvideo.miniature.art.scene import ArtInstant, PlainBackdrop
from pnpvideo.miniature.world.captions import CONJUNCTIONS, GROUND_WORDS, SKY_WORDS

LOOK_WORDS = {
    "flat": ("a flat drawing of", "a flat illustration of", "a flat vector drawing of", "a flat icon of"),
    "gradient": ("a gradient drawing of", "a shaded illustration of", "a vector drawing with gradients of"),
    "3d": ("a 3d render of", "a 3d model of", "a 3d rendering of", "a glossy 3d render of"),
}


def art_caption(scene: ArtInstant, look: str, rng: Random | None = None) -> str:
    """Describe ``scene`` in ``look``.

    rng: chooses the wording and may omit the backdrop; None: the plain caption, complete, with the first wordings.
    """

    def pick(words: tuple[str, ...]) -> str:
        return words[0] if rng is None or rng.random() < 0.5 else rng.choice(words)

    what = pick(CONJUNCTIONS).join(with_article(thing.name.text) for thing in scene.things)
    if isinstance(scene.backdrop, PlainBackdrop):
        if scene.backdrop.below is None:
            places = [with_article(f"{scene.backdrop.colour} background", "on ", pick(("plain ", "")))]
        else:
            places = [f"on a graded background from {scene.backdrop.colour} to {scene.backdrop.below}"]
    else:
        places = [pick(GROUND_WORDS[scene.backdrop.ground]), pick(SKY_WORDS[scene.backdrop.sky])]
    if rng is not None and rng.random() < 0.25:
        places = places[: rng.randrange(len(places))]
    return " ".join([pick(LOOK_WORDS[look]), what, *places])


def with_article(noun: str, before: str = "", between: str = "") -> str:
    """Add the article: "an owl", "on a plain owl"; none for plural names. between: adjectives, with a space behind."""
    words = f"{between}{noun}"
    if noun.endswith("s") and not noun.endswith(("ss", "us")) and "background" not in noun:
        return f"{before}{words}"
    return f"{before}{'an' if words[0] in 'aeiou' else 'a'} {words}"
