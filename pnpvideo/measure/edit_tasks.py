"""The tasks and default recipes of the benchmark of edits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pnpvideo.measure.footage import Footage
from pnpvideo.measure.model import read_caption
from pnpvideo.miniature.world import STYLES, Scene, random_scene

STYLE = "style"


@dataclass(frozen=True)
class EditTask:
    """Change ``attribute`` of a scene from ``before`` to ``after``. words: the two as captions say them."""

    attribute: str
    before: str
    after: str
    words: tuple[str, str]

    @property
    def local(self) -> bool:
        """Whether a thing changes, and not the whole picture."""
        return self.attribute in ("shape", "colour")

    @property
    def name(self) -> str:
        return f"{self.before} to {self.after}"

    def footage(self, number: int, frames: int, size: int) -> Footage:
        """Scene ``number`` of the world with one thing, before and after; styles other than night take turns."""
        scene = random_scene(number, things=1)
        before, after = (_with_attribute(scene, self.attribute, value) for value in (self.before, self.after))
        styles = [style for style in STYLES if style != "night"]
        source_style = self.before if self.attribute == STYLE else styles[number % len(styles)]
        target_style = self.after if self.attribute == STYLE else source_style
        return Footage(after, source_style, target_style, frames, size, before)

    def replace_words(self, caption: str) -> str:
        """Replace the words for ``before`` in a caption; a caption that does not mention it is returned as it is."""
        if read_caption(caption)[self.attribute] != self.before:
            return caption
        return f" {caption} ".replace(f" {self.words[0]} ", f" {self.words[1]} ").strip()


TASKS = (
    EditTask("shape", "ball", "cube", ("ball", "cube")),
    EditTask("colour", "red", "blue", ("red", "blue")),
    EditTask(STYLE, "cartoon", "photo", ("cartoon", "photo")),
    EditTask("sky", "day", "sunset", ("in daylight", "at sunset")),
)


@dataclass(frozen=True)
class EditRecipe:
    """``changes`` to the base options.

    by_prompt: the edit is given by a prompt, the caption with the words of the task replaced; else by a direction.
    local: for tasks that change a thing only, and not the whole picture.
    """

    changes: Mapping[str, Any]
    by_prompt: bool = False
    local: bool = False

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> "EditRecipe":
        """The recipe of a table of options: by direction for pix2pix-zero and where the background is kept."""
        keeps = bool(changes.get("keep_background"))
        return cls(changes, by_prompt=changes.get("method") != "pix2pix-zero" and not keeps, local=keeps)


_PIX2PIX_ZERO: dict[str, Any] = {"method": "pix2pix-zero"}
_DDIM: dict[str, Any] = {
    "method": "pnp",
    "feature_until": 0.0,
    "attention_until": 0.0,
    "fresh_noise": 0.0,
    "inversion_depth": 1.0,
    "solver": "ddim",
    "spacing": "checkpoint",
}
_STRONGER: dict[str, Any] = {"keep_background": True, "guidance": 3.0, "change_strength": 1.2}
STILLS: dict[str, EditRecipe] = {
    "pix2pix-zero": EditRecipe(_PIX2PIX_ZERO),
    "background kept": EditRecipe({**_PIX2PIX_ZERO, "keep_background": True}, local=True),
    "background kept, stronger": EditRecipe({**_PIX2PIX_ZERO, **_STRONGER}, local=True),
    "not regularised": EditRecipe({**_PIX2PIX_ZERO, "regularize": 0.0}),
    "pyramid gain 1": EditRecipe({**_PIX2PIX_ZERO, "regularize": 1.0}),
    "direction as published": EditRecipe({**_PIX2PIX_ZERO, "placement": "start"}),
    "words, no direction": EditRecipe(_PIX2PIX_ZERO, by_prompt=True),
    "no guidance by maps": EditRecipe({**_PIX2PIX_ZERO, "cross_attention": 0.0}),
    "words swapped, ddim": EditRecipe(_DDIM, by_prompt=True),
    "words swapped, pnp": EditRecipe({"method": "pnp"}, by_prompt=True),
    "direction, pnp": EditRecipe({"method": "pnp"}),
    "direction, pnp, background kept, stronger": EditRecipe({"method": "pnp", **_STRONGER}, local=True),
    "sdedit 0.5": EditRecipe({"method": "sdedit", "strength": 0.5}, by_prompt=True),
    "sdedit 0.7": EditRecipe({"method": "sdedit", "strength": 0.7}, by_prompt=True),
    "sdedit 0.9": EditRecipe({"method": "sdedit", "strength": 0.9}, by_prompt=True),
}
"""Default recipes of stills: pix2pix-zero, without each of its parts, and other methods."""
CLIPS: dict[str, EditRecipe] = {
    "pix2pix-zero, flow": EditRecipe({**_PIX2PIX_ZERO, "coherence": "flow"}),
    "pix2pix-zero, joint": EditRecipe({**_PIX2PIX_ZERO, "coherence": "joint"}),
    "pix2pix-zero, each frame": EditRecipe({**_PIX2PIX_ZERO, "coherence": "none"}),
    "direction, pnp, flow": EditRecipe({"method": "pnp", "coherence": "flow"}),
}
"""Default recipes of clips."""


def _with_attribute(scene: Scene, attribute: str, value: str) -> Scene:
    if attribute == "sky":
        return replace(scene, sky=value)
    if attribute in ("shape", "colour"):
        thing = scene.things[0]
        return replace(
            scene, things=(replace(thing, shape=value) if attribute == "shape" else replace(thing, colour=value),)
        )
    return scene
