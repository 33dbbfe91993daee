"""What a checkpoint recommends for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pnpvideo.errors import OptionError
from pnpvideo.methods.registry import METHODS
from pnpvideo.option import Real, Spec, Text
from pnpvideo.settings.options import KNOWN


def _recommendable() -> dict[str, Spec]:
    """What a card may hold: options that say so, and those that a method has under a name of its own."""
    plain = {name: spec for name, spec in KNOWN.items() if spec.card}
    own = {card: KNOWN[name] for method in METHODS.values() for name, card in method.card_names.items()}
    return {**plain, **own}


RECOMMENDABLE = _recommendable()
FACTS = {"outside_notice": Text(), "familiar_error": Real(0.0, 100.0)}


@dataclass(frozen=True, kw_only=True)
class Card:
    """Recommendations of a checkpoint, read from its ``pnpvideo.json`` where it has one.

    recommended: option -> value, for options whose declaration lets a checkpoint recommend one (see RECOMMENDABLE).
    outside_notice: told to a user whose picture is outside of what the model was trained on, which is so if the
    network, asked for the noise in it a quarter of the way up, errs by more than ``familiar_error`` in the mean square.
    learned_words: all words that its captions had, from a list beside it (see learned_words.py); empty: not known.
    """

    recommended: Mapping[str, Any] = field(default_factory=dict)
    outside_notice: str | None = None
    familiar_error: float = 0.0
    learned_words: frozenset[str] = frozenset()

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], usual: Mapping[str, Any]) -> Card:
        """A card from a JSON object; ``usual``: recommendations where it has none. Raises OptionError."""
        for name, value in given.items():
            if name in RECOMMENDABLE:
                RECOMMENDABLE[name].kind.check(name, value)
            elif name in FACTS:
                FACTS[name].check(name, value)
            else:
                raise OptionError(f"{name!r} is no recommendation; known are: {', '.join([*RECOMMENDABLE, *FACTS])}")
        facts = {name: value for name, value in given.items() if name in FACTS}
        return cls(recommended={**usual, **{name: given[name] for name in given if name not in FACTS}}, **facts)

    def knows_pictures_at(self, size: int, native: int) -> bool:
        """Whether ``familiar_error`` tells familiar pictures from others at this working size of the short side.

        Below half of the model's ``native`` size its error is large for every picture, those of its own world too.
        """
        return self.outside_notice is not None and 2 * size >= native
