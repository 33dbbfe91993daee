"""The options of one translation, in groups; input, prompt and output are not options."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pnpvideo.coherence.coherence import Coherence
from pnpvideo.coherence.flow import TokenFlow
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.coherence.registry import USUAL as USUAL_COHERENCE
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.kinds import (
    Bytes,
    Choice,
    File,
    Frames,
    Model,
    NamedFiles,
    Number,
    Real,
    Shares,
    Switch,
    Text,
    WeightedFiles,
    Whole,
)
from pnpvideo.methods.method import Method
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.methods.registry import METHODS
from pnpvideo.methods.registry import USUAL as USUAL_METHOD
from pnpvideo.option import Spec, check_options, option, specs, stated, values_of
from pnpvideo.settings.control import Control
from pnpvideo.settings.models import ALIASES
from pnpvideo.settings.presets import PRESETS, USUAL
from pnpvideo.settings.prompts import Prompts
from pnpvideo.video.span import Span

if TYPE_CHECKING:
    from pnpvideo.video.clip import Clip

SECOND_ORDER, DDIM, RF = "2m", "ddim", "rf"
KARRAS, CHECKPOINT = "karras", "checkpoint"
EPSILON, VELOCITY, FLOW = "epsilon", "v_prediction", "flow"
LCM, TURBO = "lcm", "turbo"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Inversion, sampling and guidance."""

    preset: str = option(
        USUAL,
        Spec(
            kind=Choice(tuple(PRESETS)),
            section="usual",
            help="Steps, solver and spacing where nothing else sets them; draft is fastest, best takes longest.",
        ),
    )
    steps: int | None = option(
        None,
        Spec(
            kind=Whole(1, 1000), section="look", help="Denoising steps, and inversion steps; without it, the preset's."
        ),
    )
    solver: str | None = option(
        None,
        Spec(
            kind=Choice((SECOND_ORDER, DDIM, RF)),
            section="look",
            help="2m: second order, for inversion and sampling. ddim: first order, the default where the inversion is "
            "regularised. rf: RF-Solver for inversion, two network calls a step, for flow matching only. Without it, "
            "the preset's.",
        ),
    )
    spacing: str | None = option(
        None,
        Spec(
            kind=Choice((KARRAS, CHECKPOINT)),
            section="look",
            help="karras: noise levels evenly spaced in the third root of the noise. checkpoint: the checkpoint's own "
            "timesteps, the default with ddim. Without it, the preset's.",
        ),
    )
    guidance: float | None = option(
        None,
        Spec(
            kind=Real(0.0, 100.0),
            section="usual",
            otherwise=7.5,
            card=True,
            search=(1.0, 12.0),
            help="Scale of classifier-free guidance.",
        ),
    )
    guidance_span: tuple[float, float] = option(
        (0.0, 1.0),
        Spec(
            kind=Shares(),
            section="look",
            help="Shares of the run between which there is guidance; the other steps are cheaper.",
        ),
    )
    regularize: float | None = option(
        None,
        Spec(
            kind=Number((0, 1, 2), "0 (off), 1, 2"),
            section="look",
            metavar="GAIN",
            otherwise=0.0,
            help="Strength of the regulariser that keeps inverted noise close to white (pix2pix-zero): 0 off, 1 or 2; "
            "without it, 2 with pix2pix-zero and 0 with others.",
        ),
    )
    inversion_rounds: int | None = option(
        None,
        Spec(
            kind=Whole(0, 100),
            section="look",
            otherwise=0,
            card=True,
            help="With --solver ddim: corrections of an inversion step, a network call each.",
        ),
    )
    seed: int = option(0, Spec(kind=Whole(0, 2**63 - 1), section="usual", metavar="SEED", help="Seed of all noise."))
    size: int | None = option(
        None,
        Spec(
            kind=Whole(16, 4096),
            section="usual",
            metavar="PIXELS",
            help="Working size of the short side; without it, the model's.",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Region:
    """The region of the picture that may change."""

    mask: Path | None = option(
        None,
        Spec(
            kind=File(),
            section="look",
            help="Still or clip, white where the result may change; the rest stays as it is.",
        ),
    )
    keep_background: bool = option(
        False,
        Spec(
            kind=Switch(),
            section="look",
            help="Like --mask, with a mask that is found automatically: the places that the network attends to for the "
            "word that changes (--from of edit, else the word of the first --direction).",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.keep_background and self.mask is not None:
            raise OptionError("mask and keep_background are both given; either names what may change")


@dataclass(frozen=True, kw_only=True)
class Customization:
    """What is changed in the model before it is used."""

    lora: tuple[tuple[str, float], ...] = option(
        (),
        Spec(
            kind=WeightedFiles("LoRA", "ink.safetensors:0.8"),
            section="look",
            metavar="FILE[:SCALE]",
            variable=False,
            help="LoRA to merge into the model's weights; may be given again.",
        ),
    )
    embedding: tuple[tuple[str, str], ...] = option(
        (),
        Spec(
            kind=NamedFiles("embedding", "easynegative.safetensors:easynegative"),
            section="look",
            metavar="FILE[:WORD]",
            variable=False,
            help="Textual inversion, which adds a word to prompts; may be given again.",
        ),
    )
    vae: Path | None = option(
        None,
        Spec(
            kind=File(),
            section="look",
            help="Autoencoder to use instead of the model's, TAESD too: its folder, or a .safetensors file.",
        ),
    )
    prediction: str | None = option(
        None,
        Spec(
            kind=Choice((EPSILON, VELOCITY)),
            section="look",
            help="What the network predicts; without it, as the model states.",
        ),
    )
    few_step: str | None = option(
        None,
        Spec(
            kind=Choice((LCM, TURBO)),
            section="look",
            help="How the model or a LoRA was distilled to few steps: lcm, or turbo (Lightning and Hyper too); without "
            "it, as the model states.",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The part of the input to read, and its decoder."""

    frames: Span | None = option(
        None, Spec(kind=Frames(), section="usual", help="Frames, such as 0:25, or 2.5s:4s; B is exclusive.")
    )
    track: int | None = option(
        None, Spec(kind=Whole(0), section="input", help="Video track of the input, counted from 0.")
    )
    decoder: str = option(
        "ffmpeg", Spec(kind=Choice(("ffmpeg", "decord")), section="input", help="What decodes the input.")
    )
    allow_partial: bool = option(
        False, Spec(kind=Switch(), section="input", help="Take what can be read of a damaged INPUT.")
    )

    def __post_init__(self) -> None:
        check_options(self)

    def open(self, input: Path | str, report: Report = ignore) -> Clip:
        """Open ``input`` as these options say. Raises InputError and DecodeError."""
        from pnpvideo.video.read import read  # loads the decoders

        return read(
            input,
            span=self.frames,
            decoder=self.decoder,
            track=self.track,
            allow_partial=self.allow_partial,
            report=report,
        )


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Device, precision, memory limits and the store."""

    device: str = option("auto", Spec(kind=Text(), section="machine", help="auto, cpu, cuda, cuda:1 or mps."))
    dtype: str = option(
        "auto",
        Spec(
            kind=Choice(("auto", "float32", "float16", "bfloat16")),
            section="machine",
            help="Precision of the network; auto: float32 on a CPU, float16 elsewhere.",
        ),
    )
    compile: bool = option(
        False,
        Spec(kind=Switch(), section="machine", help="Compile the network first: minutes, for long runs on a GPU."),
    )
    batch: int = option(
        8,
        Spec(
            kind=Whole(1),
            section="speed and memory",
            metavar="FRAMES",
            help="Frames for each call of the network; a shot's keyframes always share one.",
        ),
    )
    window: int = option(
        48,
        Spec(
            kind=Whole(1),
            section="speed and memory",
            metavar="FRAMES",
            help="Frames of a long shot that are translated together.",
        ),
    )
    memory: int | None = option(
        None,
        Spec(
            kind=Bytes(1),
            section="speed and memory",
            help="Limit of memory, such as 8G; batches and windows are made smaller to keep within it.",
        ),
    )
    store: Path | None = option(
        None,
        Spec(
            kind=File(folder=True, written=True),
            section="machine",
            help="Folder of the store; without it, one in the user's cache folder.",
        ),
    )

    preview_every: int | None = option(
        None,
        Spec(
            kind=Whole(1),
            section="output",
            metavar="STEPS",
            help="Every so many steps, write what one frame would become as a picture; costs a decoding each.",
        ),
        compare=False,
    )
    preview_file: Path | None = option(
        None,
        Spec(
            kind=File(written=True),
            section="output",
            help="The file of --preview-every, replaced each time; without it, OUTPUT-preview.png.",
        ),
        compare=False,
    )
    preview_vae: Path | None = option(
        None,
        Spec(
            kind=File(),
            section="output",
            help="Tiny autoencoder (TAESD), folder or file, that decodes the pictures of --preview-every, preview and "
            "tune instead of the model's.",
        ),
        compare=False,
    )
    sidecar: bool = option(
        True,
        Spec(
            kind=Switch(),
            section="output",
            flag=("--sidecar/--no-sidecar",),
            help="Write OUTPUT.json, which says how the result was made; 'pnpvideo again' reads it.",
        ),
        compare=False,
    )
    store_limit: int | None = option(
        None,
        Spec(
            kind=Bytes(0),
            section="machine",
            help="Limit of the store, such as 20G: after the run, the least recently used entries are removed.",
        ),
        compare=False,
    )

    def __post_init__(self) -> None:
        check_options(self)


GROUPS: tuple[type[Any], ...] = (Prompts, Sampling, Region, Reading, Runtime, Customization, Control)
"""The groups of options that do not depend on the method or coherence; those declare their own fields."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one translation, in groups; see each group's fields.

    origins: option -> who set it, such as "flag", "pnpvideo.toml" or, by default, "call"; options not set are absent.
    unread: options that were set, but belong to another method or coherence.
    """

    model: str = option(
        "miniature",
        Spec(
            kind=Model(tuple(ALIASES)),
            section="usual",
            help="Alias (see 'pnpvideo models'), checkpoint folder, single .safetensors file or hub id.",
        ),
    )
    method: Method = field(default_factory=PlugAndPlay)
    coherence: Coherence = field(default_factory=TokenFlow)
    prompts: Prompts = field(default_factory=Prompts)
    sampling: Sampling = field(default_factory=Sampling)
    region: Region = field(default_factory=Region)
    reading: Reading = field(default_factory=Reading)
    runtime: Runtime = field(default_factory=Runtime)
    customization: Customization = field(default_factory=Customization)
    control: Control = field(default_factory=Control)
    generate: bool = option(
        False,
        Spec(kind=Switch(), section="look", help="Draw the guidance picture from the source prompt; no INPUT."),
    )
    overwrite: bool = option(
        False,
        Spec(kind=Switch(), section="output", flag=("-y", "--overwrite"), help="Replace the output if it exists."),
    )
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    unread: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        check_options(self)
        prompts, region = self.prompts, self.region
        if region.keep_background and prompts.change is None and not prompts.directions:
            raise OptionError(
                "keep_background keeps what is outside of the thing that changes: say which, with a change (--from and "
                "--to) or a direction"
            )
        if self.generate:
            if self.control.control:
                raise OptionError("generate draws its own guidance picture: there is no input that a control follows")
            if region.mask is not None or region.keep_background:
                raise OptionError("generate draws the whole picture: there is no background of a source to keep")
            if not prompts.source_prompt:
                raise OptionError("generate needs a source prompt: it says what the guidance picture shows")
            if self.reading.frames is not None:
                raise OptionError("generate reads no input, so there is no span of frames to take")

    @classmethod
    def from_flat(cls, values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> Options:
        """Options from flat names, as in flags and files: ``{"method": "pnp", "steps": 20}``.

        ``method`` and ``coherence`` may be names or objects. Raises OptionError for an unknown name or a bad value. An
        option of a method or coherence that is not chosen is checked and listed in ``unread``.
        """
        for name in values:
            if name not in KNOWN:
                raise OptionError(f"unknown option {name!r}; known are: {', '.join(KNOWN)}")
        method, method_class = _chosen("method", values.get("method", USUAL_METHOD), METHODS, Method)
        coherence, coherence_class = _chosen(
            "coherence", values.get("coherence", USUAL_COHERENCE), COHERENCES, Coherence
        )
        groups = {group.__name__.lower(): _part(group, values) for group in GROUPS}
        own = {name: values[name] for name in specs(cls) if name in values}
        read = {*specs(cls), *specs(method_class), *specs(coherence_class), "method", "coherence"}
        read |= {name for group in GROUPS for name in specs(group)}
        unread = tuple(name for name in values if name not in read and values[name] != KNOWN_DEFAULTS[name])
        for name in unread:
            KNOWN[name].kind.check(name, values[name])
        return cls(
            method=method if method is not None else _part(method_class, values),
            coherence=coherence if coherence is not None else _part(coherence_class, values),
            origins={name: (origins or {}).get(name, "call") for name in values},
            unread=unread,
            **groups,
            **own,
        )

    def parts(self) -> Iterator[Any]:
        """The dataclass instances that hold options: this one, the method, the coherence and the groups."""
        yield from (self, self.method, self.coherence)
        yield from (self.prompts, self.sampling, self.region, self.reading, self.runtime)
        yield from (self.customization, self.control)

    def flat(self) -> dict[str, Any]:
        """All options by flat name; method and coherence as their registered names."""
        from pnpvideo.coherence.registry import name_of as coherence_name
        from pnpvideo.methods.registry import name_of as method_name

        values: dict[str, Any] = {"method": method_name(self.method), "coherence": coherence_name(self.coherence)}
        for part in self.parts():
            values.update(values_of(part))
        return {name: values[name] for name in KNOWN if name in values}

    def files(self) -> Iterator[Path]:
        """The files and folders that these options name to be read, as the kinds of the options say."""
        for part in self.parts():
            for name, value in values_of(part).items():
                if value is not None:
                    yield from KNOWN[name].kind.files(value)

    def stated(self) -> dict[str, Any]:
        """The options that differ from their defaults, by flat name; method and coherence as objects."""
        values: dict[str, Any] = {}
        for part in self.parts():
            values.update(stated(part))
        if type(self.method) is not METHODS[USUAL_METHOD]:
            values["method"] = self.method
        if type(self.coherence) is not COHERENCES[USUAL_COHERENCE]:
            values["coherence"] = self.coherence
        return values

    @property
    def model_key(self) -> tuple[str, ...]:
        """Equal for options with which ``load`` gives the same model, which runs can then share."""
        runtime = self.runtime
        return self.model, runtime.device, runtime.dtype, str(runtime.compile), repr(self.customization)

    def changed(self, values: Mapping[str, Any]) -> Options:
        """A copy with ``values`` of some options, by flat name. Raises OptionError as ``from_flat`` does."""
        left = dict(values)
        copy = self
        for name, registered in (("method", METHODS), ("coherence", COHERENCES)):
            if name in left:
                value, kind = _chosen(name, left.pop(name), registered, Method if name == "method" else Coherence)
                before = getattr(copy, name)
                if value is None and kind is not type(before):  # options that both classes have keep their values
                    value = _part(kind, values_of(before))
                copy = copy if value is None else dataclasses.replace(copy, **{name: value})
        changes: dict[str, Any] = {}
        for part in fields(copy):
            owner = getattr(copy, part.name)
            if dataclasses.is_dataclass(owner) and not isinstance(owner, type):
                given = {name: left.pop(name) for name in specs(owner) if name in left}
                if given:
                    changes[part.name] = dataclasses.replace(owner, **given)
        changes |= {name: left.pop(name) for name in specs(copy) if name in left}
        for name, value in left.items():
            if name not in KNOWN:
                raise OptionError(f"unknown option {name!r}; known are: {', '.join(KNOWN)}")
            KNOWN[name].kind.check(name, value)
        changes["unread"] = (*copy.unread, *(name for name in left if left[name] != KNOWN_DEFAULTS[name]))
        changes["origins"] = {**copy.origins, **dict.fromkeys(values, "call")}
        return dataclasses.replace(copy, **changes)


def _chosen(name: str, value: Any, registered: Mapping[str, type[Any]], base: type[Any]) -> tuple[Any, type[Any]]:
    """Look up a method or coherence: (object or None, its class). value: an object or a registered name."""
    if isinstance(value, base):
        return value, type(value)
    if not isinstance(value, str) or value not in registered:
        raise OptionError(f"{name} is {value!r}; accepted: {', '.join(registered)}")
    return None, registered[value]


def _part(kind: type[Any], values: Mapping[str, Any]) -> Any:
    return kind(**{name: values[name] for name in specs(kind) if name in values})


def _known() -> tuple[dict[str, Spec], dict[str, Any]]:
    """The declarations and the defaults of all options, by flat name."""
    owners = (Options, Customization, Prompts, *METHODS.values(), *COHERENCES.values())
    owners = (*owners, Sampling, Region, Control, Reading, Runtime)
    known: dict[str, Spec] = {}
    defaults: dict[str, Any] = {}
    for owner in owners:
        known.update(specs(owner))
        defaults.update({field.name: field.default for field in fields(owner) if field.name in known})
    choice = {
        "method": Spec(kind=Choice(tuple(METHODS)), section="usual", help="How the input steers the result."),
        "coherence": Spec(kind=Choice(tuple(COHERENCES)), section="coherence", help="What ties the frames together."),
    }
    return {**known, **choice}, {**defaults, "method": USUAL_METHOD, "coherence": USUAL_COHERENCE}


KNOWN, KNOWN_DEFAULTS = _known()
"""Declarations and defaults of all options, by the flat name that flags, variables, files and reports use."""


class OptionGroups(TypedDict, total=False):
    """The groups of Options as keywords, for functions that take ``**options: Unpack[OptionGroups]``."""

    method: Method
    coherence: Coherence
    prompts: Prompts
    sampling: Sampling
    region: Region
    reading: Reading
    runtime: Runtime
    customization: Customization
    control: Control
    generate: bool
    overwrite: bool
