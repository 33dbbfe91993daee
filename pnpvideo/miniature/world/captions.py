"""A scene in words: a small grammar with synonyms and optional parts."""

from random import Random

from pnpvideo.miniature.world.scene import Instant, Scene

STYLE_WORDS = {
    "cartoon": ("a cartoon of", "a cartoon drawing of", "cartoon,", "an animation of"),
    "photo": ("a photo of", "a photograph of", "a realistic photo of", "photo,"),
    "sketch": ("a sketch of", "a pencil sketch of", "a pencil drawing of", "sketch,"),
}
SHAPE_WORDS = {
    "ball": ("ball", "sphere"),
    "cube": ("cube", "box"),
    "cylinder": ("cylinder", "drum"),
    "cone": ("cone",),
}
GROUND_WORDS = {
    "grass": ("on grass", "on the grass", "on a meadow"),
    "sand": ("on sand", "on the beach", "in the sand"),
    "snow": ("on snow", "in the snow"),
    "stone": ("on stone", "on a stone floor", "on paving"),
}
SKY_WORDS = {
    "day": ("in daylight", "on a sunny day", "under a blue sky"),
    "sunset": ("at sunset", "in the evening", "under a sunset sky"),
    "overcast": ("under a cloudy sky", "on an overcast day", "under a grey sky"),
}


def caption(scene: Scene | Instant, style: str, draw: Random | None = None) -> str:
    """What ``scene`` in ``style`` shows, such as "a photo of a red ball on grass at sunset".

    Without ``draw`` the plain form is given: the first synonym of each part, nothing left out.
    """

    def pick(words: tuple[str, ...]) -> str:
        return words[0] if draw is None or draw.random() < 0.5 else draw.choice(words)

    nouns = []
    for thing in scene.things:
        article = "an" if thing.colour[0] in "aeiou" else "a"
        nouns.append(f"{article} {thing.colour} {pick(SHAPE_WORDS[thing.shape])}")
    parts = [pick(GROUND_WORDS[scene.ground]), pick(SKY_WORDS[scene.sky])]
    if draw is not None:
        if draw.random() < 0.2:
            parts.reverse()
        if draw.random() < 0.12:
            parts.pop(draw.randrange(2))
    return " ".join([pick(STYLE_WORDS[style]), " and ".join(nouns), *parts])
