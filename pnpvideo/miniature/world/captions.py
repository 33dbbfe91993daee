"""Captions of scenes: a small grammar with synonyms, optional parts and several word orders."""

from random import Random

from pnpvideo.miniature.world.scene import Instant, Scene, Thing

Words = dict[str, tuple[str, ...]]

STYLE_WORDS: Words = {
    "cartoon": ("a cartoon of", "a cartoon drawing of", "an animation of", "a flat cartoon of"),
    "photo": ("a photo of", "a photograph of", "a realistic photo of", "real footage of"),
    "sketch": ("a sketch of", "a pencil sketch of", "a pencil drawing of", "a drawing of"),
    "clay": ("a clay model of", "a claymation of", "a plasticine model of"),
    "watercolor": ("a watercolor of", "a watercolor painting of", "a watercolour of", "a painting of"),
    "night": ("a night photo of", "a photo at night of", "a dark night photo of"),
}
STYLE_TAILS: Words = {
    "cartoon": ("cartoon style", "as a cartoon", "cartoon"),
    "photo": ("photo", "realistic photo", "as a photo"),
    "sketch": ("pencil sketch", "as a sketch", "sketch"),
    "clay": ("made of clay", "in clay", "claymation"),
    "watercolor": ("in watercolor", "as a watercolor", "watercolour"),
    "night": ("photographed at night", "night photo", "as a night photo"),
}
SHAPE_WORDS: Words = {
    "ball": ("ball", "sphere"),
    "cube": ("cube", "box"),
    "cylinder": ("cylinder", "drum"),
    "cone": ("cone",),
    "tree": ("tree",),
    "house": ("house", "cottage"),
    "car": ("car", "automobile"),
    "boat": ("boat", "sailboat"),
    "figure": ("figure", "person", "toy figure"),
}
MATERIAL_WORDS: Words = {"plain": ("",), "metal": ("metal", "shiny metal"), "wood": ("wooden",)}
GROUND_WORDS: Words = {
    "grass": ("on grass", "on the grass", "on a meadow"),
    "sand": ("on sand", "on the beach", "in the sand"),
    "snow": ("on snow", "in the snow"),
    "stone": ("on stone", "on a stone floor", "on paving"),
}
SKY_WORDS: Words = {
    "day": ("in daylight", "on a sunny day", "under a blue sky"),
    "sunset": ("at sunset", "in the evening", "under a sunset sky"),
    "overcast": ("under a cloudy sky", "on an overcast day", "under a grey sky"),
}
STYLES_WITHOUT_SKY = ("night",)
"""Styles with their own light, whose captions do not mention the sky."""
STYLES_WITHOUT_MATERIAL = ("sketch", "clay", "watercolor")
"""Styles that draw all materials alike, whose captions do not mention them."""
CONJUNCTIONS = (" and ", " beside ", " next to ")


def caption(scene: Scene | Instant, style: str, rng: Random | None = None) -> str:
    """Describe ``scene`` in ``style``, such as "a photo of a red ball on grass at sunset".

    rng: chooses synonyms, parts and order; None: the plain caption, with the first synonym of every part, style first.
    """

    def pick(words: tuple[str, ...]) -> str:
        return words[0] if rng is None or rng.random() < 0.5 else rng.choice(words)

    shown = style not in STYLES_WITHOUT_MATERIAL
    things = pick(CONJUNCTIONS).join(thing_phrase(thing, rng, material=shown) for thing in scene.things)
    places = [pick(GROUND_WORDS[scene.ground])]
    if style not in STYLES_WITHOUT_SKY:
        places.append(pick(SKY_WORDS[scene.sky]))
    if rng is None:
        return " ".join([STYLE_WORDS[style][0], things, *places])
    if rng.random() < 0.25:
        places.reverse()
    if len(places) > 1 and rng.random() < 0.12:
        places.pop(rng.randrange(2))
    order = rng.random()
    if order < 0.6:
        return " ".join([pick(STYLE_WORDS[style]), things, *places])
    if order < 0.75:
        return f"{' '.join([things, *places])}, {pick(STYLE_TAILS[style])}"
    if order < 0.85:
        return f"{pick(STYLE_TAILS[style])}, {' '.join([things, *places])}"
    if order < 0.95:
        return f"{places[0]}, {' '.join([pick(STYLE_WORDS[style]), things, *places[1:]])}"
    return " ".join([things, *places])


def thing_phrase(thing: Thing, rng: Random | None = None, *, material: bool = True) -> str:
    """A thing with its article, such as "a red metal ball".

    rng: as for ``caption``; it may omit the material. material: False: it is never mentioned.
    """
    made_of = MATERIAL_WORDS[thing.material if material else "plain"]
    noun = SHAPE_WORDS[thing.shape]
    if rng is not None:
        made_of = ("",) if rng.random() < 0.2 else (rng.choice(made_of),)
        noun = (noun[0] if rng.random() < 0.6 else rng.choice(noun),)
    words = [thing.colour, made_of[0], noun[0]]
    if rng is not None and made_of[0] and rng.random() < 0.2:
        words = [made_of[0], thing.colour, noun[0]]
    words = [word for word in words if word]
    return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])
