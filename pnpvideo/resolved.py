"""What a run uses: what the user asked for and, where nothing was asked, what the checkpoint recommends."""

from dataclasses import dataclass
from typing import TypeVar

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.errors import OptionError
from pnpvideo.methods.method import Method
from pnpvideo.methods.pix2pix_zero import Pix2PixZero
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.methods.sdedit import SDEdit
from pnpvideo.options import TranslateOptions
from pnpvideo.presets import PRESETS

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Names as in TranslateOptions, each with the value that counts."""

    device: str
    dtype: str
    steps: int
    solver: str
    spacing: str
    guidance: float
    feature_until: float
    attention_until: float
    fresh_noise: float
    cross_attention: float
    cross_attention_until: float
    regularize: float
    inversion_rounds: int
    size: int

    @classmethod
    def of(cls, options: TranslateOptions, backend: Backend) -> "Resolved":
        card, zero = backend.card, options.method == "pix2pix-zero"
        preset = PRESETS[options.preset]
        regularize = float(chosen(options.regularize, 2.0 if zero and not options.generate else 0.0))
        solver = options.solver or ("ddim" if regularize or backend.few_step else preset.solver)
        usual = preset.few_steps if backend.few_step else preset.ddim_steps if solver == "ddim" else preset.steps
        steps = chosen(options.steps, usual)
        if solver == "2m" and options.inversion_rounds:
            raise OptionError(
                f"inversion_rounds is {options.inversion_rounds}, and the solver is 2m, whose inversion needs no "
                "corrections; leave them out, or ask for --solver ddim"
            )
        return cls(
            device=str(backend.device),
            dtype=str(backend.dtype).removeprefix("torch."),
            steps=steps,
            solver=solver,
            spacing=options.spacing or ("checkpoint" if solver == "ddim" else preset.spacing),
            guidance=float(chosen(options.guidance, card.edit_guidance if zero else card.guidance)),
            feature_until=float(chosen(options.feature_until, card.feature_until)),
            attention_until=float(chosen(options.attention_until, card.attention_until)),
            fresh_noise=float(chosen(options.fresh_noise, card.fresh_noise)),
            cross_attention=float(chosen(options.cross_attention, usual_weight(options, backend, steps))),
            cross_attention_until=float(chosen(options.cross_attention_until, card.cross_attention_until)),
            regularize=regularize,
            inversion_rounds=0 if solver == "2m" else chosen(options.inversion_rounds, card.inversion_rounds),
            size=options.size or backend.size,
        )

    def method(self, options: TranslateOptions) -> Method:
        if options.method == "sdedit":
            return SDEdit(strength=options.strength)
        if options.method == "pix2pix-zero":
            return Pix2PixZero(
                weight=self.cross_attention,
                update=options.update,
                until=self.cross_attention_until,
                most_pixels=options.map_pixels,
                checkpointing=options.checkpointing,
            )
        return PlugAndPlay(
            feature_until=self.feature_until, attention_until=self.attention_until, fresh_noise=self.fresh_noise
        )

    def guided(self, options: TranslateOptions, negative: str) -> Guidance:
        """The negative side goes from the empty caption to the negative prompt; pix2pix-zero has the latter alone."""
        empty_share = 0.75 if options.generate else 1.0
        if options.method == "pix2pix-zero":
            empty_share = 0.0
        return Guidance(
            scale=self.guidance, negative=bool(negative), empty_share=empty_share, span=options.guidance_span
        )


def usual_weight(options: TranslateOptions, backend: Backend, steps: int) -> float:
    """The checkpoint's own; else 0.1 for inverted and 0.15 for generated pictures, 0.01 where v is predicted."""
    if backend.card.cross_attention:
        return backend.card.cross_attention
    if backend.schedule(steps).prediction is Prediction.VELOCITY:
        return 0.01
    return 0.15 if options.generate else 0.1


def chosen(asked: Number | None, recommended: Number) -> Number:
    """What the user asked for, else what the checkpoint recommends."""
    return recommended if asked is None else asked
