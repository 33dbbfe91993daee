"""Cross-attention guidance (pix2pix-zero, arXiv 2302.03027, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pnpvideo.kinds import SHARE, Choice, Real, Switch, Whole
from pnpvideo.methods.method import Corrected, Method, Probe
from pnpvideo.option import Spec, option

if TYPE_CHECKING:
    from torch import Tensor

    from pnpvideo.injection import Moment

PAPER, CODE = "paper", "code"


@dataclass(frozen=True, kw_only=True)
class Pix2PixZero(Method):
    """Before each step, take one gradient step on x towards the source's cross-attention maps.

    The source's maps are computed just before the step that uses them, so only one step's maps are in memory. The
    reference of a lane is the source's latents under the prompt which that lane would have without the edit: the source
    prompt for the positive lane, its own for the others.
    """

    cross_attention: float | None = option(
        None,
        Spec(
            kind=Real(0.0, 1e6),
            section="look",
            card=True,
            help="pix2pix-zero: size (lambda_xa) of the step towards the source's attention maps.",
        ),
    )
    cross_attention_until: float | None = option(
        None,
        Spec(
            kind=SHARE,
            section="look",
            otherwise=1.0,
            card=True,
            help="pix2pix-zero: share of the steps that are guided by attention maps.",
        ),
    )
    update: str = option(
        PAPER,
        Spec(
            kind=Choice((PAPER, CODE)),
            section="look",
            help="pix2pix-zero: its step as in the paper, or as in its authors' code.",
        ),
    )
    map_pixels: int | None = option(
        None,
        Spec(
            kind=Whole(1),
            section="speed and memory",
            help="pix2pix-zero: use attention maps of at most so many pixels only.",
        ),
    )
    checkpointing: bool = option(
        False,
        Spec(kind=Switch(), section="speed and memory", help="pix2pix-zero: gradients in less memory and more time."),
        compare=False,
    )

    card_names: ClassVar[Mapping[str, str]] = {"guidance": "edit_guidance", "negative": "edit_negative"}
    negative_otherwise: ClassVar[str] = "{source}"
    negative_generated: ClassVar[str] = ""
    needs_cross_attention: ClassVar[bool] = True
    needs_caption: ClassVar[bool] = True

    def otherwise(self, prediction: str, generate: bool) -> Mapping[str, Any]:
        """lambda_xa is 0.1 for inverted and 0.15 for generated pictures (the paper's), 0.01 for v-prediction (ours)."""
        weight = 0.01 if prediction == "v_prediction" else 0.15 if generate else 0.1
        return {"cross_attention": weight, "guidance": 5.0, "regularize": 0.0 if generate else 2.0}

    def empty_share(self, generate: bool) -> float:
        return 0.0

    def without_effect(self) -> Mapping[str, str]:
        return {"seed": "an edit starts from the source's own noise"}

    def corrects(self, moment: Moment) -> bool:
        from pnpvideo.injection import Until

        until = 1.0 if self.cross_attention_until is None else self.cross_attention_until
        return self.cross_attention != 0 and moment in Until(until)

    def correct(self, x: Tensor, moment: Moment, probe: Probe) -> Corrected:
        """Move the lanes by lambda_xa times the gradient.

        update "paper": all lanes are evaluated at x - lambda_xa * (sum of the lanes' gradients), and the step starts
        from x. "code": each lane moves by its own gradient, and the step starts where the first lane (with guidance,
        the empty or the negative prompt's) has moved to.
        """
        if not self.corrects(moment):
            return Corrected.unchanged(x, probe.lanes)
        from pnpvideo.methods.attention_gradient import attention_gradients

        weight = self.cross_attention
        assert weight is not None
        slopes = attention_gradients(x, probe, self.map_pixels, self.checkpointing)
        if self.update == PAPER:
            moved = x - weight * sum(slopes.values())
            return Corrected(dict.fromkeys(probe.lanes, moved), x)
        lanes = {name: x - weight * slope for name, slope in slopes.items()}
        return Corrected(lanes, lanes[probe.lanes[0]])
