"""What a user can ask for: frozen, keyword-only, checked once, when made."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pnpvideo.errors import OptionError
from pnpvideo.presets import PRESETS, USUAL
from pnpvideo.video.span import Span, TimeSpan

METHODS = ("pnp", "sdedit", "pix2pix-zero")
COHERENCES = ("flow", "joint", "none")
UPDATES = ("paper", "code")
PLACEMENTS = ("word", "start")
OWN = {
    "pnp": ("feature_until", "attention_until", "fresh_noise"),
    "sdedit": ("strength",),
    "pix2pix-zero": ("cross_attention", "cross_attention_until", "update", "map_pixels", "checkpointing"),
}
"""Options that one method alone reads."""
SOLVERS = ("2m", "ddim")
SPACINGS = ("karras", "checkpoint")
DTYPES = ("auto", "float32", "float16", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TranslateOptions:
    """Everything that one translation depends on besides its input, prompt and output.

    ``None`` means "the checkpoint's own recommendation" or, where it has none: guidance 7.5 (5 of pix2pix-zero), no
    negative prompt, feature_until 0.8, attention_until 0.5, fresh_noise 0, inversion_rounds 0, cross_attention 0.1
    (0.15 of generated pictures, 0.01 where v is predicted), cross_attention_until 1; for the source prompt, a caption
    of the shot's middle frame.

    model: alias ("miniature", "sd15", "sd21"), folder of a diffusers checkpoint, or hub id.
    captioner: folder or hub id of a BLIP captioner; None: the checkpoint's own, else the base one.
    change: (from, to), two concepts: the direction between them is built from templates and added to the prompt.
    change_strength: of that direction.
    directions: (file, strength) of edit directions that are added to the prompt's embedding, or to the source prompt's
        where there is no prompt.
    placement: where directions enter: "word", at the word that they change, where the prompt or the source prompt says
        it, and ``change`` is about its whole phrase there ("red ball"); "start", token by token from the start of the
        text, about the concept alone, as published.
    mask: a still or a clip, white where the result may change; what is black stays the source's.
    keep_background: the same, with a mask of where the network looks for the first concept of the change, or of the
        first direction.
    cross_attention: size (lambda_xa) of pix2pix-zero's step towards the source's attention maps, >= 0.
    cross_attention_until: share of the steps, in [0, 1], that take this step.
    update: "paper" or "code", how pix2pix-zero's step enters (see Pix2PixZero).
    map_pixels: only attention maps of at most so many pixels guide; None: all of them.
    checkpointing: recompute the network's blocks for a gradient instead of keeping them: less memory, more time.
    regularize: gain of the pyramid of pix2pix-zero's regularised inversion, 1 or 2; 0: plain inversion. None: 2 for
        pix2pix-zero, 0 for others.
    preset: "best", "balanced" or "draft": what a run spends where nothing else is asked (see presets.py).
    steps: denoising steps, and inversion steps, >= 1; None: the preset's, as for solver and spacing.
    solver: "2m", second order up and down, or "ddim", which a regularised inversion has by default.
    spacing: of the steps: "karras", even in the third root of the noise level, or "checkpoint", its scheduler's, which
        is DDIM's by default.
    guidance: classifier-free guidance scale s, >= 0.
    guidance_span: shares of the run, in [0, 1], between which there is guidance; at the other steps the prompt is asked
        alone, which is faster by the lanes that are left out.
    feature_until, attention_until: shares of the steps, in [0, 1], during which residual features and
        self-attention q, k are injected (tau_f, tau_A of Plug-and-Play, arXiv 2211.12572).
    negative: what the result must not show; "{source}" in it stands for the source prompt.
    fresh_noise: share of Plug-and-Play's starting noise, in [0, 1], that is drawn anew instead of inverted: more frees
        the result from the source's colours.
    inversion_rounds: corrections of each inversion step, 0 to 100, one network evaluation each: without any, sampling
        with the source prompt gives the source back only nearly. The solver 2m, methods that do not invert
        (sdedit), and a generated guidance picture, need none.
    strength: share of the noise that SDEdit starts from, in (0, 1].
    keyframe_every: frames a segment; one keyframe is drawn from each at every step.
    window: frames, >= 1, that are translated together; a shot of more than one and a half times as many goes in
        windows, which share anchor keyframes.
    size: working size of the short side in pixels; None: the checkpoint's native size.
    frames: span of the input: frame numbers (start, stop), half-open and counted from 0, or a ``TimeSpan``.
    track: picture track of the input, counted from 0; None: see ``video.read.read``.
    allow_partial: take what can be read of a damaged input, and say so, instead of failing.
    generate: the guidance picture is generated from the source prompt; no input is read.
    batch: frames a network call, >= 1. The keyframes of a shot always go together: they attend to each other.
    memory: bytes on the device that the run should keep within: batch and window are made smaller as that needs. An
        estimate, which docs/speed.md holds against measurements.
    compile: let torch compile the network's blocks at their first call, which takes minutes.
    store: folder of the store; None: the user's cache folder.
    """

    model: str = "miniature"
    source_prompt: str | None = None
    negative: str | None = None
    captioner: str | None = None
    change: tuple[str, str] | None = None
    change_strength: float = 1.0
    directions: tuple[tuple[str, float], ...] = ()
    placement: str = "word"
    method: str = "pnp"
    coherence: str = "flow"
    preset: str = USUAL
    steps: int | None = None
    solver: str | None = None
    spacing: str | None = None
    guidance: float | None = None
    guidance_span: tuple[float, float] = (0.0, 1.0)
    feature_until: float | None = None
    attention_until: float | None = None
    fresh_noise: float | None = None
    mask: Path | None = None
    keep_background: bool = False
    cross_attention: float | None = None
    cross_attention_until: float | None = None
    update: str = "paper"
    map_pixels: int | None = None
    checkpointing: bool = False
    regularize: float | None = None
    inversion_rounds: int | None = None
    strength: float = 0.6
    keyframe_every: int = 8
    window: int = 48
    seed: int = 0
    size: int | None = None
    frames: Span | None = None
    generate: bool = False
    batch: int = 8
    memory: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    decoder: str = "ffmpeg"
    track: int | None = None
    allow_partial: bool = False
    compile: bool = False
    store: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        _one_of("method", self.method, METHODS)
        _one_of("coherence", self.coherence, COHERENCES)
        _one_of("update", self.update, UPDATES)
        _one_of("placement", self.placement, PLACEMENTS)
        _one_of("dtype", self.dtype, DTYPES)
        _one_of("decoder", self.decoder, ("ffmpeg", "decord"))
        if self.track is not None:
            _whole("track", self.track, 0, None)
        _one_of("preset", self.preset, tuple(PRESETS))
        if self.steps is not None:
            _whole("steps", self.steps, 1, 1000)
        if self.solver is not None:
            _one_of("solver", self.solver, SOLVERS)
        if self.spacing is not None:
            _one_of("spacing", self.spacing, SPACINGS)
        _whole("window", self.window, 1, None)
        _whole("keyframe_every", self.keyframe_every, 1, None)
        if self.inversion_rounds is not None:
            _whole("inversion_rounds", self.inversion_rounds, 0, 100)
        _whole("seed", self.seed, 0, 2**63 - 1)
        _whole("batch", self.batch, 1, None)
        if self.memory is not None:
            _whole("memory", self.memory, 1, None)
        if self.size is not None:
            _whole("size", self.size, 16, 4096)
        if self.guidance is not None:
            _real("guidance", self.guidance, 0.0, 100.0)
        _span("guidance_span", self.guidance_span)
        for name in ("feature_until", "attention_until", "fresh_noise", "cross_attention_until"):
            if getattr(self, name) is not None:
                _real(name, getattr(self, name), 0.0, 1.0)
        if self.cross_attention is not None:
            _real("cross_attention", self.cross_attention, 0.0, 1e6)
        if self.map_pixels is not None:
            _whole("map_pixels", self.map_pixels, 1, None)
        if isinstance(self.regularize, bool) or self.regularize not in (None, 0, 1, 2):
            raise OptionError(f"regularize is {self.regularize!r}; accepted: 0 (off), 1, 2")
        _real("change_strength", self.change_strength, -1000.0, 1000.0)
        _pairs(self.change, self.directions)
        if self.generate and (self.mask is not None or self.keep_background):
            raise OptionError("generate draws the whole picture: there is no background of a source to keep")
        if self.keep_background and self.mask is not None:
            raise OptionError("mask and keep_background are both given; either names what may change")
        if self.keep_background and self.change is None and not self.directions:
            raise OptionError(
                "keep_background keeps what is outside of the thing that changes: say which, with a change (--from and "
                "--to) or a direction"
            )
        _real("strength", self.strength, 0.0, 1.0)
        if self.strength == 0.0:
            raise OptionError("strength is 0; accepted is a number above 0 and up to 1")
        for name in ("generate", "overwrite", "allow_partial", "checkpointing", "keep_background"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"{name} is {getattr(self, name)!r}; accepted: True, False")
        if self.generate and not self.source_prompt:
            raise OptionError("generate needs a source prompt: it says what the guidance picture shows")
        if self.generate and self.frames is not None:
            raise OptionError("generate reads no input, so there is no span of frames to take")
        if self.frames is not None and not isinstance(self.frames, TimeSpan):
            if not isinstance(self.frames, tuple | list) or len(self.frames) != 2:
                raise OptionError(
                    f"frames is {self.frames!r}; accepted is a pair (start, stop), such as (0, 25), or a TimeSpan"
                )
            start, stop = self.frames
            _whole("frames (start)", start, 0, None)
            if stop is not None:
                _whole("frames (stop)", stop, 0, None)
                if stop <= start:
                    raise OptionError(
                        f"frames is {start}:{stop}, an empty span; the end is exclusive and must lie beyond the start"
                    )

    def without_effect(self) -> tuple[str, ...]:
        """The options that are set although the method does not read them."""
        unread = [name for method, names in OWN.items() if method != self.method for name in names]
        return tuple(name for name in self.stated() if name in unread)

    def stated(self) -> dict[str, Any]:
        """The options that are not as they are by default."""
        given = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in given.items() if value != default}

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> "TranslateOptions":
        """Options from a table such as a TOML file's; an unknown key is an error that names it."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise OptionError(f"unknown option {key!r}; known are: {', '.join(known)}")
        return cls(**values)


def _span(name: str, value: Any) -> None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise OptionError(f"{name} is {value!r}; accepted is a pair of shares, such as (0.0, 0.8)")
    for share in value:
        _real(name, share, 0.0, 1.0)
    if value[0] >= value[1]:
        raise OptionError(f"{name} is {value[0]:g}:{value[1]:g}, an empty span")


def _pairs(change: Any, directions: Any) -> None:
    listed = isinstance(change, tuple | list) and len(change) == 2
    if change is not None and not (listed and all(isinstance(word, str) and word.strip() for word in change)):
        raise OptionError(f"change is {change!r}; accepted is a pair of concepts, such as ('ball', 'cube')")
    for pair in directions:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise OptionError(f"a direction is {pair!r}; accepted is a pair of a file and a strength")
        _real(f"strength of the direction {pair[0]!r}", pair[1], -1000.0, 1000.0)


def _one_of(name: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise OptionError(f"{name} is {value!r}; accepted: {', '.join(accepted)}")


def _whole(name: str, value: Any, low: int, high: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        span = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise OptionError(f"{name} is {value!r}; accepted is a whole number {span}")


def _real(name: str, value: Any, low: float, high: float) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high:
        raise OptionError(f"{name} is {value!r}; accepted is a number from {low:g} to {high:g}")
