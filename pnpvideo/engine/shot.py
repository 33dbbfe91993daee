"""Translate a clip window by window, carrying a shot's state from each window to the next."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.engine.anchors import Anchors, remembered_windows
from pnpvideo.engine.control import conditions_of
from pnpvideo.engine.estimate import Estimate, Size
from pnpvideo.engine.region import WordRegion
from pnpvideo.engine.run import Position, Run, Window
from pnpvideo.engine.window import WindowTranslator, translate_window
from pnpvideo.errors import StoreError
from pnpvideo.events import Notice, Report
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Shot
from pnpvideo.video.drawings import Drawings
from pnpvideo.video.pixels import to_working, working_size
from pnpvideo.words.script import Captions, Script, ScriptWriter


class Drawn(NamedTuple):
    """Translated drawings.

    pictures: (drawings, h, w, 3) uint8 at the working size. masks: (drawings, h', w') float32 in [0, 1], of the
    latents' height and width, 1 where a picture may differ from its source; None: everywhere.
    """

    pictures: np.ndarray
    masks: np.ndarray | None


@dataclass(frozen=True)
class ShotState:
    """What one window of a shot passes to the next.

    script: the shot's prompts. anchored: the anchors of each window that the next one attends to. last: the last
    translated drawing, which the next window's first frames may repeat.
    """

    script: Script
    anchored: tuple[Anchors, ...] = ()
    last: Drawn | None = None


class ClipTranslator:
    """Translate the shots of one clip, in order, with one prompt (None: as the options' change or directions say).

    of_frames: approximate number of frames of the clip for progress, 0 if not known. counts: shots, windows, frames and
    drawings so far. texts: the source prompt, prompt and negative prompt by shot. captions: see ScriptWriter. windows:
    what translates each window.
    """

    def __init__(
        self,
        run: Run,
        prompt: str | None,
        of_frames: int = 0,
        captions: Captions | None = None,
        windows: WindowTranslator = translate_window,
    ) -> None:
        self.run, self.of_frames, self._windows = run, of_frames, windows
        self.scripts = ScriptWriter(run.backend, run.options, prompt, run.store, run.report, captions)
        self.counts = {"shots": 0, "windows": 0, "frames": 0, "drawings": 0}
        self.texts: list[dict[str, str]] = []
        self._region = WordRegion(run, _changing_word(run.options, self.scripts))
        self._keys: list[str] = []
        self._state: ShotState | None = None

    @classmethod
    def of(
        cls, backend: Backend, options: Options, prompt: str | None, store: Store, report: Report
    ) -> "ClipTranslator":
        """A translator with a run of its own, for ``options`` as the user set them."""
        return cls(Run.of(backend, options, store, report), prompt)

    def translate(self, shot: Shot, drawings: Drawings, display: tuple[int, int]) -> Drawn:
        """Translate the drawings of a shot, or of one part of a long shot; parts must come in order.

        display: (width, height) of the input. Raises DeviceError if memory runs out or the network gives NaN.
        """
        frames, masks, brought = drawings.frames, drawings.masks, drawings.conditions
        if shot.part == 0:
            self._state = None
            self.counts["shots"] += 1
        self.counts["frames"] += len(drawings.drawing_of_frame)
        carried = self._state.last if self._state is not None and drawings.carries_over else None
        if drawings.carries_over:
            frames, masks = frames[1:], None if masks is None else masks[1:]
            brought = None if brought is None else brought[1:]
        parts = [] if carried is None else [carried]
        if frames:
            position = Position(
                before=self.counts["frames"] - len(drawings.drawing_of_frame),
                frames=len(drawings.drawing_of_frame),
                of_frames=self.of_frames,
                shots=shot.index + 1 if shot.last else 0,
            )
            parts.append(self._translated(shot, Drawings(frames, (), masks, brought), display, position))
        change = [part.masks for part in parts if part.masks is not None]
        drawn = Drawn(np.concatenate([part.pictures for part in parts]), np.concatenate(change) if change else None)
        if self._state is not None:
            last = Drawn(drawn.pictures[-1:].copy(), None if drawn.masks is None else drawn.masks[-1:].copy())
            self._state = replace(self._state, last=last)
        return drawn

    def overall(self) -> float | None:
        """The share of the clip that is translated, 0 to 1; None where it is not known."""
        return Position(before=self.counts["frames"], of_frames=self.of_frames).overall(0.0)

    def check(self) -> None:
        """Raise OptionError if keep_background found nothing to change in any shot."""
        self._region.check()

    def finish(self) -> None:
        """Delete the checkpoints of a finished run from the store; trajectories stay for the next prompt."""
        try:
            for key in self._keys:
                with self.run.store.entry("run", key) as entry:
                    entry.discard()
        except StoreError as failed:  # the output is complete, so leftover checkpoints do not fail the run
            self.run.report(Notice(message=f"checkpoints of this run stay in the store: {failed}"))

    def _translated(self, shot: Shot, drawings: Drawings, display: tuple[int, int], position: Position) -> Drawn:
        frames, run, seed = drawings.frames, self.run, self.run.options.sampling.seed
        self.counts["windows"] += 1
        self.counts["drawings"] += len(frames)
        size = working_size(*display, run.options.sampling.size or run.backend.size, run.backend.multiple)
        pixels = to_working((frame.pixels for frame in frames), size)
        shown = pixels if shot.shown is None else to_working([shot.shown.pixels], size)
        state = self._state = self._state or self._begun(shown)
        script = state.script
        noise = shot_noise(run.backend.latent_shape(*size), seed, shot.index)
        tokens = self._region.tokens(script.source, shot.index, shot.part == 0)
        if tokens == ():
            return Drawn(pixels, np.zeros((len(pixels), *noise.shape[-2:]), np.float32))
        window = Window(
            place=run.place(shot.index, shot.part),
            pixels=pixels,
            times=tuple(float(frame.pts_seconds) for frame in frames),
            script=script,
            guidance=run.guidance(bool(script.negative)),
            noise=noise,
            anchors=Anchors.joined(state.anchored),
            masks=drawings.masks,
            conditions=conditions_of(run.controls, pixels, drawings.conditions),
            tokens=tokens,
            more=shot.more,
            position=position,
            shares=Estimate(run).shares(Size(len(frames), sum(map(len, state.anchored))), shot.part),
        )
        result = self._windows(run, window)
        self._keys.append(result.run)
        if result.anchors:
            self._state = replace(state, anchored=tuple(remembered_windows(state.anchored, result.anchors)))
        return Drawn(result.pictures, result.masks)

    def _begun(self, pixels: np.ndarray) -> ShotState:
        """The state of a new shot. pixels: its first window, whose middle drawing is captioned if need be."""
        script = self.scripts.write(lambda: pixels[len(pixels) // 2])
        self.texts.append({"source": script.source, "prompt": script.prompt, "negative": script.negative})
        return ShotState(script)


def _changing_word(options: Options, scripts: ScriptWriter) -> str | None:
    """The word whose region alone may change: the change's or the first direction's; None: everything may change."""
    if not options.region.keep_background:
        return None
    return options.prompts.change[0] if options.prompts.change else scripts.files[0][0].source
