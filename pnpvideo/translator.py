"""The public API: load, translate, edit and plan; a Translator keeps a model loaded for many calls."""

import itertools
from collections.abc import Generator, Iterable, Iterator, Sized
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from PIL import Image
from typing_extensions import Unpack

from pnpvideo import pipeline
from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load as load_backend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.engine.estimate import fit_memory
from pnpvideo.engine.plan import Plan
from pnpvideo.engine.plan import plan as plan_run
from pnpvideo.engine.run import Run
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Notice, Report, log
from pnpvideo.methods.registry import METHODS, USUAL_EDIT
from pnpvideo.pipeline import Result
from pnpvideo.settings.effective import without_effect
from pnpvideo.settings.options import KNOWN_DEFAULTS, Customization, OptionGroups, Options, Runtime
from pnpvideo.settings.prompts import Prompts
from pnpvideo.store import Store
from pnpvideo.video.clip import Frame
from pnpvideo.video.pixels import working_size

if TYPE_CHECKING:
    from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

NOT_IN_MEMORY = {
    **dict.fromkeys(("track", "decoder", "allow_partial"), "frames in memory are not decoded"),
    **dict.fromkeys(("preview_file", "sidecar", "overwrite"), "frames in memory are not written to a file"),
}
"""Options that do nothing for frames in memory, and why."""
LEAST_FPS, MOST_FPS = 1e-3, 1_000_000

FramesT = TypeVar("FramesT", list[Image.Image], np.ndarray, torch.Tensor)
FrameT = TypeVar("FrameT", Image.Image, np.ndarray, torch.Tensor)


class Translator:
    """Translate clips, stills and frames in memory with one loaded model.

    Options are passed as groups, such as ``method=PlugAndPlay(attention_until=0.5)`` or ``sampling=Sampling(seed=3)``.
    Options left out take the checkpoint's recommendation, else the method's or preset's value, else the default.
    Threads may share a translator: their windows take turns.
    """

    def __init__(
        self, backend: Backend, runtime: Runtime | None = None, customization: Customization | None = None
    ) -> None:
        """customization: what ``backend`` was loaded with, for reports."""
        self.backend, self.runtime = backend, runtime or Runtime()
        self.customization = customization or Customization()

    def __repr__(self) -> str:
        dtype = str(self.backend.dtype).removeprefix("torch.")
        return f"Translator({self.backend.size} pixels, {dtype} on {self.backend.device})"

    def translate(
        self,
        input: Path | str | None,
        prompt: str,
        output: Path | str,
        *,
        report: Report = log,
        **options: Unpack[OptionGroups],
    ) -> Result:
        """Translate the clip, still or folder of frames ``input`` into what ``prompt`` says; write it to ``output``.

        input: None with ``generate=True``: the picture that guides the result is sampled from the source prompt. Raises
        PnPVideoError, and leaves the output path as it was. Calling it again after an interruption resumes from the
        steps in the store.
        """
        return pipeline.translate(input, prompt, output, self._options(options), backend=self.backend, report=report)

    def edit(
        self,
        input: Path | str,
        change: tuple[str, str] | None,
        output: Path | str,
        *,
        report: Report = log,
        **options: Unpack[OptionGroups],
    ) -> Result:
        """Change one concept into another, such as ``("ball", "cube")``, in ``input``, and keep the rest.

        change: None if ``prompts`` has a change or directions. Raises as ``translate`` does.
        """
        chosen = self._options(_edit_groups(options, change))
        return pipeline.translate(input, None, output, chosen, backend=self.backend, report=report)

    def plan(self, input: Path | str, *, report: Report = log, **options: Unpack[OptionGroups]) -> Plan:
        """Estimate what translating ``input`` takes: network evaluations, seconds, memory, disk."""
        return plan_run(input, self._options(options), backend=self.backend, report=report)

    def translate_frames(
        self,
        frames: FramesT,
        prompt: str,
        *,
        fps: float = 24.0,
        report: Report = log,
        **options: Unpack[OptionGroups],
    ) -> FramesT:
        """Translate frames in memory; the result has the type, size and number of ``frames``.

        frames: a list of PIL pictures, or an array or tensor (f, h, w, 3) of uint8. fps: frames per second. Raises as
        ``stream`` does.
        """
        if isinstance(frames, np.ndarray | torch.Tensor):
            _check_frames(frames)
        translated = list(self.stream(frames, prompt, fps=fps, report=report, **options))
        if isinstance(frames, np.ndarray):
            return np.stack(translated)
        if isinstance(frames, torch.Tensor):
            return torch.stack(translated).to(frames.device)
        return translated

    def stream(
        self,
        frames: Iterable[FrameT],
        prompt: str,
        *,
        fps: float = 24.0,
        report: Report = log,
        **options: Unpack[OptionGroups],
    ) -> Generator[FrameT, None, None]:
        """Translate frames lazily, in bounded memory; each result has the type and size of its frame.

        frames: PIL pictures, or arrays or tensors (h, w, 3) of uint8, all of one size. fps: frames per second. Frames
        are yielded window by window; closing the iterator stops the work. Raises InputError for a frame of another type
        or size, OptionError for options that need files (generate, mask, a span of frames), and what ``translate``
        raises.
        """
        chosen = self._options(options)
        of_files = chosen.region.mask is not None or chosen.reading.frames is not None or chosen.control.brought()
        if chosen.generate or of_files:
            raise OptionError(
                "generate, a mask, a span of frames and a control from a file belong to files; frames in memory take "
                "none of them"
            )
        return self._streamed(frames, prompt, fps, report, chosen)

    def _streamed(
        self, frames: Iterable[FrameT], prompt: str, fps: float, report: Report, options: Options
    ) -> Generator[FrameT, None, None]:
        backend, count = self.backend, len(frames) if isinstance(frames, Sized) else None
        pictures = _Pictures(frames, fps)
        first = next(pictures, None)
        if first is None:
            raise InputError("there are no frames; give at least one")
        display = (first.pixels.shape[1], first.pixels.shape[0])
        size = working_size(*display, options.sampling.size or backend.size, backend.multiple)
        fitted = fit_memory(backend, options, count, size, report)
        run = Run.of(backend, fitted, Store(options.runtime.store, report=report), report)
        for message in without_effect(run.options, count, NOT_IN_MEMORY, prediction=backend.prediction):
            report(Notice(message=message))
        translator = ClipTranslator(run, prompt, count or 0)
        for frame, picture, _ in pipeline.translated(translator, itertools.chain([first], pictures), display):
            yield pictures.like(frame.index, picture)
        translator.check()
        translator.finish()
        if (limit := options.runtime.store_limit) is not None:
            run.store.prune(limit)

    def _options(self, groups: OptionGroups) -> Options:
        options = Options(**groups)
        if "customization" in groups and options.customization != self.customization:
            raise OptionError("customization is part of the loaded model; give it to pnpvideo.load")
        options = replace(options, customization=self.customization)
        if "runtime" not in groups:
            return replace(options, runtime=self.runtime)
        backend, loaded = self.backend, self.runtime
        in_use: dict[str, tuple[Any, ...]] = {
            "device": (str(backend.device), backend.device.type, loaded.device),
            "dtype": (str(backend.dtype).removeprefix("torch."), loaded.dtype),
            "compile": (loaded.compile,),
        }
        for name, values in in_use.items():
            if (given := getattr(options.runtime, name)) not in (*values, KNOWN_DEFAULTS[name]):
                raise OptionError(f"{name} is {given}, and the model is loaded with {values[0]}; give it to the loader")
        return options


class _Pictures(Iterator[Frame]):
    """Convert frames in memory to Frame objects, and translated pictures back to each frame's type."""

    def __init__(self, frames: Iterable[Any], fps: float) -> None:
        if not LEAST_FPS <= fps <= MOST_FPS:
            raise OptionError(f"fps is {fps!r}; accepted is a number from {LEAST_FPS:g} to {MOST_FPS:,}")
        self._frames, self._fps = enumerate(frames), Fraction(fps).limit_denominator(1_000_000)
        self._size: tuple[int, ...] | None = None
        self._forms: dict[int, Any] = {}

    def __next__(self) -> Frame:
        index, given = next(self._frames)
        pixels = _pixels(given, index)
        if self._size not in (None, pixels.shape):
            raise InputError(f"frame {index} is of shape {pixels.shape}, the first one of {self._size}; give one size")
        self._size = pixels.shape
        self._forms[index] = given.device if isinstance(given, torch.Tensor) else type(given)
        return Frame(index, index / self._fps, pixels)

    def like(self, index: int, picture: np.ndarray) -> Any:
        """Convert a picture (h, w, 3) uint8 to the type, and device, of input frame ``index``; once per frame."""
        form = self._forms.pop(index)
        if isinstance(form, torch.device):
            return torch.from_numpy(picture.copy()).to(form)
        return picture.copy() if form is np.ndarray else Image.fromarray(picture)


def _pixels(given: Any, index: int) -> np.ndarray:
    """(h, w, 3) uint8 RGB of one frame."""
    if isinstance(given, Image.Image):
        return np.asarray(given.convert("RGB"))
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray) and given.ndim == 3 and given.shape[2] == 3 and given.dtype == np.uint8:
        return given
    what = f"{given.dtype} of shape {tuple(given.shape)}" if isinstance(given, np.ndarray) else type(given).__name__
    raise InputError(f"frame {index} is {what}; accepted: a PIL picture, or an array or tensor (h, w, 3) of uint8")


def _check_frames(frames: np.ndarray | torch.Tensor) -> None:
    if frames.ndim != 4 or frames.shape[3] != 3:
        raise InputError(f"frames are of shape {tuple(frames.shape)}; accepted is (f, h, w, 3)")


def load(
    model: "str | Path | StableDiffusionPipeline | StableDiffusionXLPipeline | StableDiffusion3Pipeline" = "miniature",
    *,
    device: str = "auto",
    dtype: str = "auto",
    customization: Customization | None = None,
) -> Translator:
    """Load a model once, to translate many clips with it.

    model: alias (see ``pnpvideo models``), folder or single file of a checkpoint, or hub id. device: "auto", "cpu",
    "cuda", "cuda:1" or "mps". dtype: "auto", "float32", "float16" or "bfloat16". customization: LoRAs, an autoencoder.
    Raises ModelError and DeviceError.

    model may also be a loaded StableDiffusionPipeline, StableDiffusionXLPipeline or StableDiffusion3Pipeline of
    diffusers. Its network stays on its device and in its dtype
    (``device`` and ``dtype`` are ignored); its weights are frozen, and edits are removed after each call.
    """
    if not isinstance(model, str | Path):
        if customization is not None:
            raise OptionError(
                "customization is given with a loaded pipeline, which is used as it is; change it in diffusers"
            )
        joint = hasattr(model, "transformer")
        network = getattr(model, "transformer" if joint else "unet", None)
        place, precision = getattr(network, "device", torch.device("cpu")), getattr(network, "dtype", torch.float32)
        kind: Any = StableDiffusion3 if joint else StableDiffusion
        return Translator(kind(model, place, precision))
    runtime = Runtime(device=device, dtype=dtype)
    chosen = customization or Customization()
    return Translator(load_backend(str(model), runtime, customization=chosen), runtime, chosen)


def translate(
    input: Path | str | None,
    prompt: str,
    output: Path | str,
    *,
    model: str | Path = "miniature",
    report: Report = log,
    **options: Unpack[OptionGroups],
) -> Result:
    """Translate the clip or still ``input`` into what ``prompt`` says, and write it to ``output``.

    Loads ``model`` on each call; use ``load`` to translate several clips. See Translator.translate.
    """
    return pipeline.translate(input, prompt, output, Options(model=str(model), **options), report=report)


def edit(
    input: Path | str,
    change: tuple[str, str] | None,
    output: Path | str,
    *,
    model: str | Path = "miniature",
    report: Report = log,
    **options: Unpack[OptionGroups],
) -> Result:
    """Change one concept into another, such as ``("ball", "cube")``, in ``input``, and keep the rest.

    Loads ``model`` on each call; use ``load`` to edit several clips. See Translator.edit.
    """
    chosen = Options(model=str(model), **_edit_groups(options, change))
    return pipeline.translate(input, None, output, chosen, report=report)


def plan(
    input: Path | str,
    *,
    model: str | Path = "miniature",
    report: Report = log,
    **options: Unpack[OptionGroups],
) -> Plan:
    """Estimate what translating ``input`` takes: network evaluations, seconds, memory, disk."""
    return plan_run(input, Options(model=str(model), **options), report=report)


def _edit_groups(groups: OptionGroups, change: tuple[str, str] | None) -> OptionGroups:
    """Add ``change`` and the default method of an edit (USUAL_EDIT) to the option groups ``groups``."""
    prompts = groups.get("prompts", Prompts())
    changed = prompts if change is None else replace(prompts, change=change)
    return {"method": METHODS[USUAL_EDIT](), **groups, "prompts": changed}
