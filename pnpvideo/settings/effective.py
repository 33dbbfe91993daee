"""Resolve each option: the user's value, else the checkpoint's, else the method's or the preset's, else the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from pnpvideo.errors import OptionError
from pnpvideo.methods.registry import METHODS
from pnpvideo.option import specs
from pnpvideo.settings.card import Card
from pnpvideo.settings.options import CHECKPOINT, DDIM, EPSILON, FLOW, KNOWN_DEFAULTS, RF, Options
from pnpvideo.settings.presets import PRESETS

CALL, CARD, PRESET, METHOD, MODEL, DEFAULT = "call", "checkpoint's card", "preset", "method", "model", "default"


class Checkpoint(Protocol):
    """The properties of a model that options depend on.

    few_step: whether it was distilled to sample in few steps. size: native short side in pixels. prediction: what the
    network predicts, "epsilon", "sample", "v_prediction" or "flow".
    """

    @property
    def card(self) -> Card: ...

    @property
    def few_step(self) -> bool: ...

    @property
    def size(self) -> int: ...

    @property
    def prediction(self) -> str: ...


def effective(options: Options, model: Checkpoint) -> Options:
    """A copy of ``options`` in which no option is left to a recommendation.

    ``origins`` of the copy state who set each option: as the caller noted ("flag", a file's name), else one of the
    constants above. Raises OptionError if values contradict each other.
    """
    decide = _Decision(options, model)
    sampling, method, preset = options.sampling, options.method, PRESETS[options.sampling.preset]
    regularize = float(decide("regularize", sampling.regularize))
    first_order = bool(regularize) or model.few_step or method.first_order
    solver = decide.of("solver", sampling.solver, DDIM if first_order else preset.solver, PRESET)
    usual_steps = preset.few_steps if model.few_step else preset.ddim_steps if solver == DDIM else preset.steps
    if solver != DDIM and method.first_order:
        raise OptionError(
            f"the solver is {solver}, and this method is defined for steps of first order; use --solver ddim"
        )
    if solver != DDIM and sampling.inversion_rounds:
        raise OptionError(
            f"inversion_rounds is {sampling.inversion_rounds}, and the solver is {solver}, whose inversion needs no "
            "corrections; leave them out, or ask for --solver ddim"
        )
    if solver == RF and model.prediction != FLOW:
        raise OptionError(
            f"the solver is rf, for models trained by flow matching, such as Stable Diffusion 3; this one predicts "
            f"{model.prediction}: use --solver 2m or ddim"
        )
    if solver == RF and regularize:
        raise OptionError(
            f"regularize is {regularize:g}, and the solver is rf, whose inversion is not regularised; leave it out, or "
            "ask for --solver ddim"
        )
    rounds = 0 if solver != DDIM else decide("inversion_rounds", sampling.inversion_rounds)
    resolved_sampling = replace(
        sampling,
        regularize=regularize,
        solver=solver,
        steps=decide.of("steps", sampling.steps, usual_steps, PRESET),
        spacing=decide.of("spacing", sampling.spacing, CHECKPOINT if solver == DDIM else preset.spacing, PRESET),
        guidance=float(decide("guidance", sampling.guidance)),
        inversion_rounds=rounds,
        size=decide.of("size", sampling.size, model.size, MODEL),
    )
    own = {name: decide(name, getattr(method, name)) for name, spec in specs(method).items() if spec.card}
    own = {name: float(value) if isinstance(value, int) else value for name, value in own.items()}
    return replace(
        options,
        method=replace(method, **own),
        sampling=resolved_sampling,
        prompts=replace(options.prompts, negative=_negative(options, decide)),
        origins=decide.origins,
    )


def _negative(options: Options, decide: _Decision) -> str:
    given, method = options.prompts.negative, options.method
    if given is None and options.generate:
        return str(decide.of("negative", None, method.negative_generated, METHOD))
    return str(decide("negative", given))


class _Decision:
    """Resolve option by option and note the origin of each value."""

    def __init__(self, options: Options, model: Checkpoint) -> None:
        self.method, self.model, self._set = options.method, model, options.origins
        by_call = {name: CALL for name, value in options.flat().items() if value != KNOWN_DEFAULTS[name]}
        self.origins = {name: options.origins.get(name, by_call.get(name, DEFAULT)) for name in options.flat()}
        self.otherwise: dict[str, Any] = {
            **{name: spec.otherwise for part in options.parts() for name, spec in specs(part).items()},
            "negative": options.method.negative_otherwise,
        }
        self.by_method: Mapping[str, Any] = options.method.otherwise(model.prediction, options.generate)

    def __call__(self, name: str, given: Any) -> Any:
        """The user's value ``given``; if None the card's, else the method's, else the field's ``otherwise``."""
        recommended = self.model.card.recommended
        card_name = self.method.card_names.get(name, name)
        if given is None and card_name in recommended:
            return self.of(name, None, recommended[card_name], CARD)
        if name in self.by_method:
            return self.of(name, given, self.by_method[name], METHOD)
        return self.of(name, given, self.otherwise[name], DEFAULT)

    def of(self, name: str, given: Any, usual: Any, origin: str) -> Any:
        """The user's value ``given`` if not None, else ``usual``, noted as set by ``origin``."""
        if given is None:
            self.origins[name] = origin
            return usual
        self.origins[name] = self._set.get(name, CALL)
        return given


def without_effect(
    options: Options, frames: int | None, unused: Mapping[str, str] | None = None, *, prediction: str = EPSILON
) -> list[str]:
    """Messages about options that the user set and that change nothing.

    options: resolved (see ``effective``). frames: of the input; None: unknown. unused: further options that the caller
    does not use, with the reasons. prediction: what the network predicts, see Checkpoint.
    """
    chosen = options.flat()
    of_methods = {name for method in METHODS.values() for name in specs(method)}
    reasons = {
        name: f"the method is {chosen['method']}" if name in of_methods else f"the coherence is {chosen['coherence']}"
        for name in options.unread
    }
    sampling, prompts = options.sampling, options.prompts
    if options.generate:
        reasons |= {"inversion_depth": "the guidance picture is generated"}
    if not options.method.inverts or options.generate:
        why = "the guidance picture is generated" if options.generate else "the method does not invert"
        reasons |= {"regularize": why, "inversion_rounds": why}
    if sampling.guidance == 1.0:
        reasons |= {"negative": "guidance is 1, so only the prompt is evaluated", "guidance_span": "guidance is 1"}
    if prompts.change is None:
        reasons["change_strength"] = "there is no change (--from and --to)"
    if prompts.change is None and not prompts.directions:
        reasons["placement"] = "there is no direction"
    if prompts.source_prompt is not None:
        reasons["captioner"] = "the source prompt is given"
    if not options.control.control:
        reasons |= dict.fromkeys(("controlnet", "control_span"), "there is no control")
    if frames == 1:
        reasons |= dict.fromkeys(("keyframe_every", "window"), "there is one frame")
    if prediction == FLOW:
        reasons["spacing"] = "the model has noise levels of its own"
    if options.runtime.preview_every is None:
        reasons["preview_file"] = "there is no preview_every"
    draws_keyframes = options.coherence.anchored and frames != 1
    if not reads_source_prompt(options):
        reasons |= dict.fromkeys(
            ("source_prompt", "captioner"), "the method and the coherence need no description of the input"
        )
    if not options.generate and not draws_keyframes:
        reasons |= options.method.without_effect()
    reasons |= unused or {}
    relevant = {name: why for name, why in reasons.items() if name in options.unread or _is_set(options, name)}
    return [f"{name} is set, and has no effect: {why}" for name, why in relevant.items()]


def reads_source_prompt(options: Options) -> bool:
    """Whether a run depends on the description of the input; if not, no captioner is loaded."""
    method, prompts = options.method, options.prompts
    by_method = method.inverts or method.needs_caption or options.generate or options.coherence.anchored
    by_edit = prompts.change is not None or bool(prompts.directions) or options.region.keep_background
    return by_method or by_edit or "{source}" in (prompts.negative or "")


def _is_set(options: Options, name: str) -> bool:
    """Whether the user set this option to a value other than its default."""
    other_origins = (CARD, PRESET, METHOD, MODEL, DEFAULT)
    set_by_user = options.origins.get(name, DEFAULT) not in other_origins
    return set_by_user and options.flat().get(name) != KNOWN_DEFAULTS[name]
