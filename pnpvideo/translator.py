"""The public verbs: translate, edit and plan, by a model that is loaded once and used many times."""

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
from pnpvideo.engine.plan import Plan
from pnpvideo.engine.plan import plan as plan_run
from pnpvideo.engine.run import Run
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Notice, Report, log
from pnpvideo.methods.registry import METHODS, USUAL_EDIT
from pnpvideo.pipeline import Result
from pnpvideo.settings.effective import without_effect
from pnpvideo.settings.options import OptionGroups, Options, Runtime
from pnpvideo.store import Store
from pnpvideo.video.clip import Frame

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

FramesT = TypeVar("FramesT", list[Image.Image], np.ndarray, torch.Tensor)
FrameT = TypeVar("FrameT", Image.Image, np.ndarray, torch.Tensor)


class Translator:
    """Translates clips, stills and frames in memory with one loaded model.

    Options are given as groups, such as ``method=PlugAndPlay(attention_until=0.5)`` or ``sampling=Sampling(seed=3)``;
    what they leave open is the checkpoint's recommendation, then the preset's. Several threads may share a translator:
    their windows take turns.
    """

    def __init__(self, backend: Backend, runtime: Runtime | None = None) -> None:
        self.backend, self.runtime = backend, runtime or Runtime()

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

        With ``generate=True`` there is no input: the guidance picture is drawn from the source prompt. Raises
        PnPVideoError; then nothing stands under the output's name that was not there before. An interrupted call goes
        on where it stopped when it is made again.
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

        change: None where ``options`` name directions instead. Raises as ``translate`` does.
        """
        chosen = self._options(_edit_groups(options, change))
        return pipeline.translate(input, None, output, chosen, backend=self.backend, report=report)

    def plan(self, input: Path | str, *, report: Report = log, **options: Unpack[OptionGroups]) -> Plan:
        """What translating ``input`` would take: evaluations of the network, seconds, memory, disk."""
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
        """Translate frames in memory; they come back as they were given.

        frames: a list of PIL pictures, or an array or a tensor (f, h, w, 3) of uint8. Raises as ``stream`` does.
        """
        if isinstance(frames, np.ndarray | torch.Tensor):
            _check_frames(frames)
        made = list(self.stream(frames, prompt, fps=fps, report=report, **options))
        if isinstance(frames, np.ndarray):
            return np.stack(made)
        if isinstance(frames, torch.Tensor):
            return torch.stack(made).to(frames.device)
        return made

    def stream(
        self,
        frames: Iterable[FrameT],
        prompt: str,
        *,
        fps: float = 24.0,
        report: Report = log,
        **options: Unpack[OptionGroups],
    ) -> Generator[FrameT, None, None]:
        """Translate frames one by one, in bounded memory; each comes back as it was given, at its size.

        A frame comes out once the window that it belongs to is translated. Closing the iterator ends the work. Raises
        InputError for a frame that is no picture, or of another size than the first, and OptionError for options that
        belong to files.
        """
        chosen = self._options(options)
        if chosen.generate or chosen.region.mask is not None or chosen.reading.frames is not None:
            raise OptionError("generate, mask and a span of frames belong to files; frames in memory take none of them")
        return self._streamed(frames, prompt, fps, report, chosen)

    def _streamed(
        self, frames: Iterable[FrameT], prompt: str, fps: float, report: Report, options: Options
    ) -> Generator[FrameT, None, None]:
        run = Run.of(self.backend, options, Store(options.runtime.store, report=report), report)
        for message in without_effect(run.options, None):
            report(Notice(message=message))
        translator, given = (
            ClipTranslator(run, prompt, len(frames) if isinstance(frames, Sized) else 0),
            _Pictures(frames, fps),
        )
        first = next(given, None)
        if first is None:
            raise InputError("there are no frames; give at least one")
        display = (first.pixels.shape[1], first.pixels.shape[0])
        for frame, picture, _ in pipeline.translated(translator, _chained(first, given), display):
            yield given.like(frame.index, picture)
        translator.finish()

    def _options(self, groups: OptionGroups) -> Options:
        options = Options(**groups)
        return options if "runtime" in groups else replace(options, runtime=self.runtime)


class _Pictures(Iterator[Frame]):
    """Frames in memory as the engine reads them, which remembers in what form each was given."""

    def __init__(self, frames: Iterable[Any], fps: float) -> None:
        if not fps > 0:
            raise OptionError(f"fps is {fps!r}; accepted is a number above 0")
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
        """A picture (h, w, 3) in the form in which frame ``index`` was given."""
        form = self._forms.pop(index)
        if isinstance(form, torch.device):
            return torch.from_numpy(picture.copy()).to(form)
        return picture if form is np.ndarray else Image.fromarray(picture)


def _chained(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest


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
    model: "str | Path | StableDiffusionPipeline" = "miniature", *, device: str = "auto", dtype: str = "auto"
) -> Translator:
    """Load a model once, to translate many clips with it.

    model: alias (see ``pnpvideo models``), folder of a checkpoint, or hub id. device: "auto", "cpu", "cuda", "cuda:1"
    or "mps". dtype: "auto", "float32", "float16" or "bfloat16". Raises ModelError and DeviceError.

    model may also be a loaded StableDiffusionPipeline of diffusers. Its network is used as it is, where it is and in
    its dtype; it is frozen, and otherwise left as it was between calls.
    """
    if not isinstance(model, str | Path):
        network = getattr(model, "unet", None)
        place, precision = getattr(network, "device", torch.device("cpu")), getattr(network, "dtype", torch.float32)
        return Translator(StableDiffusion(model, place, precision))
    runtime = Runtime(device=device, dtype=dtype)
    return Translator(load_backend(str(model), runtime), runtime)


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

    Loads ``model`` first; ``load`` keeps one for many calls. See Translator.translate.
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

    Loads ``model`` first; ``load`` keeps one for many calls. See Translator.edit.
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
    """What ``translate`` would take for ``input``: evaluations of the network, seconds, memory, disk."""
    return plan_run(input, Options(model=str(model), **options), report=report)


def _edit_groups(groups: OptionGroups, change: tuple[str, str] | None) -> OptionGroups:
    """The option groups of an edit: with the change, and by the usual method of edits where none is given."""
    prompts = groups.get("prompts", Prompts())
    changed = prompts if change is None else replace(prompts, change=change)
    return {"method": METHODS[USUAL_EDIT](), **groups, "prompts": changed}
