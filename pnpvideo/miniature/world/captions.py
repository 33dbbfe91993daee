"""A scene in words: a small grammar with synonyms, optional parts and free order."""

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
SKYLESS = ("night",)
"""Styles that set a light of their own: their captions say nothing of the sky."""
JOINTS = (" and ", " beside ", " next to ")


def caption(scene: Scene | Instant, style: str, draw: Random | None = None) -> str:
    """What ``scene`` in ``style`` shows, such as "a photo of a red ball on grass at sunset".

    Without ``draw`` the plain form is given: the first synonym of each part, nothing left out, style first.
    """

    def pick(words: tuple[str, ...]) -> str:
        return words[0] if draw is None or draw.random() < 0.5 else draw.choice(words)

    what = pick(JOINTS).join(name(thing, draw) for thing in scene.things)
    places = [pick(GROUND_WORDS[scene.ground])]
    if style not in SKYLESS:
        places.append(pick(SKY_WORDS[scene.sky]))
    if draw is None:
        return " ".join([STYLE_WORDS[style][0], what, *places])
    if draw.random() < 0.25:
        places.reverse()
    if len(places) > 1 and draw.random() < 0.12:
        places.pop(draw.randrange(2))
    order = draw.random()
    if order < 0.6:
        return " ".join([pick(STYLE_WORDS[style]), what, *places])
    if order < 0.75:
        return f"{' '.join([what, *places])}, {pick(STYLE_TAILS[style])}"
    if order < 0.85:
        return f"{pick(STYLE_TAILS[style])}, {' '.join([what, *places])}"
    if order < 0.95:
        return f"{places[0]}, {' '.join([pick(STYLE_WORDS[style]), what, *places[1:]])}"
    return " ".join([what, *places])


def name(thing: Thing, draw: Random | None = None) -> str:
    """A thing with its article: "a red metal ball". ``draw`` may leave the material out."""
    material = MATERIAL_WORDS[thing.material]
    noun = SHAPE_WORDS[thing.shape]
    if draw is not None:
        material = ("",) if draw.random() < 0.2 else (draw.choice(material),)
        noun = (noun[0] if draw.random() < 0.6 else draw.choice(noun),)
    words = [thing.colour, material[0], noun[0]]
    if draw is not None and material[0] and draw.random() < 0.2:
        words = [material[0], thing.colour, noun[0]]
    words = [word for word in words if word]
    return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])
