"""A checkpoint's card (pnpvideo.json): the options that it recommends, and facts about its training domain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pnpvideo.errors import OptionError
from pnpvideo.kinds import Layers, Real, Text
from pnpvideo.methods.registry import METHODS
from pnpvideo.option import Spec
from pnpvideo.settings.options import KNOWN


def _recommendable() -> dict[str, Spec]:
    """Options that a card may hold: those declared with ``card``, and methods' own names (Method.card_names)."""
    plain = {name: spec for name, spec in KNOWN.items() if spec.card}
    own = {card: KNOWN[name] for method in METHODS.values() for name, card in method.card_names.items()}
    return {**plain, **own}


RECOMMENDABLE = _recommendable()
FACTS = {"outside_notice": Text(), "familiar_error": Real(0.0, 100.0), "structure_layers": Layers()}


@dataclass(frozen=True, kw_only=True)
class Card:
    """A checkpoint's recommendations and facts, read from its ``pnpvideo.json`` if it has one.

    recommended: option -> value (see RECOMMENDABLE for which). outside_notice: the message for a picture outside the
    training domain. familiar_error: mean squared error of the network's noise estimate above which a picture is outside
    (see engine.pictures.warn_if_unfamiliar). learned_words: all words of its training captions, from the file beside
    the card (see backends.learned_words); empty: unknown. structure_layers: the decoder layers, or a transformer's
    blocks, whose residual features are injected for structure; None: those of the published method.
    """

    recommended: Mapping[str, Any] = field(default_factory=dict)
    outside_notice: str | None = None
    familiar_error: float = 0.0
    learned_words: frozenset[str] = frozenset()
    structure_layers: tuple[int, ...] | None = None

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], usual: Mapping[str, Any]) -> Card:
        """Check a JSON object and make a card of it; ``usual``: recommendations that it may leave out.

        Raises OptionError for an unknown name or a bad value.
        """
        for name, value in given.items():
            if name in RECOMMENDABLE:
                RECOMMENDABLE[name].kind.check(name, value)
            elif name in FACTS:
                FACTS[name].check(name, value)
            else:
                raise OptionError(f"{name!r} is no recommendation; known are: {', '.join([*RECOMMENDABLE, *FACTS])}")
        facts = {name: value for name, value in given.items() if name in FACTS}
        if "structure_layers" in facts:
            facts["structure_layers"] = tuple(facts["structure_layers"])
        return cls(recommended={**usual, **{name: given[name] for name in given if name not in FACTS}}, **facts)

    def with_words(self, words: Iterable[str]) -> Card:
        """A copy that knows ``words`` too, where it knows any."""
        new = {part for word in words for part in re.findall(r"[^\W\d_]+", word.lower())}
        return replace(self, learned_words=self.learned_words | new) if self.learned_words else self

    def knows_pictures_at(self, size: int, native: int) -> bool:
        """Whether ``familiar_error`` separates familiar pictures from others at this working size.

        size, native: short side in pixels, of the run and of the model. Below half the native size the network's error
        is large for familiar pictures too.
        """
        return self.outside_notice is not None and 2 * size >= native
