"""The teacher: the diffusion engine on one picture at a time, and the masks by which its work is examined."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.noise import seeded_noise
from pnpvideo.diffusion.trajectory import ForwardProcess
from pnpvideo.edits.cross_attention import CrossAttentionMaps
from pnpvideo.edits.word_mask import word_mask
from pnpvideo.engine.keys import FORMAT
from pnpvideo.engine.memory import CallGuard
from pnpvideo.engine.region import tokens_of
from pnpvideo.engine.run import Run
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.events import Event, Notice, Report, ignore
from pnpvideo.injection import Kind, Lanes, Moment, injected, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.option import plain
from pnpvideo.pipeline import translated
from pnpvideo.report import file_hashes
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.student.pairs import Taught
from pnpvideo.video.clip import Frame
from pnpvideo.words.prompt_weights import plain_text

LEVEL, LEVELS, SEED = 2, 4, 0
"""Masks are read from one network call at level LEVEL of a schedule of LEVELS, where layout is decided."""


class EngineTeacher:
    """Translate pictures by a prompt, or by the options' change, as ``translate`` does with stills.

    Notices, such as of a prompt that is cut off, are reported once.
    """

    def __init__(self, backend: Backend, options: Options, prompt: str | None, report: Report = ignore) -> None:
        self.backend, self.options, self.prompt = backend, options, prompt
        self.store = Store(options.runtime.store)
        self._said: set[str] = set()
        self._report = report

    def __call__(self, picture: np.ndarray) -> Taught:
        """See pairs.Teacher."""
        run = Run.of(self.backend, self.options, self.store, self._listen)
        translator = ClipTranslator(run, self.prompt, 1)
        display = picture.shape[1], picture.shape[0]
        ((_, pixels, _),) = translated(translator, [Frame(0, Fraction(0), picture)], display)
        translator.finish()
        (texts,) = translator.texts
        change = None if self.prompt is not None else self.options.prompts.change
        text = texts["prompt"] if change is None else exchanged(texts["prompt"], change)
        return Taught(pixels=pixels, text=plain_text(text), source_text=plain_text(texts["source"]))

    def recipe(self) -> dict[str, Any]:
        """What the teacher's results depend on, JSON-ready: weights, prompt, options, and contents of files they name.

        keys: version of what the engine computes from these, see engine.keys.
        """
        ignored = ("store", "store_limit", "overwrite", "frames", "memory", "batch", "window", "decoder")
        options = {name: value for name, value in plain(self.options.flat()).items() if name not in ignored}
        return {
            "model": self.backend.fingerprint,
            "prompt": self.prompt,
            "options": options,
            "files": file_hashes(self.options),
            "keys": FORMAT,
        }

    def _listen(self, event: Event) -> None:
        if isinstance(event, Notice) and event.message not in self._said:
            self._said.add(event.message)
            self._report(event)


def exchanged(caption: str, change: tuple[str, str]) -> str:
    """The caption with the change's first concept replaced by the second, whole words only, in any case."""
    return re.sub(rf"\b{re.escape(change[0])}\b", lambda found: change[1], caption, flags=re.IGNORECASE)


def overlap_of(backend: Backend, word: str) -> Callable[[np.ndarray, np.ndarray, Taught], float | None]:
    """A function (source, result, taught) -> intersection over union of the masks of ``word`` in both pictures.

    The masks are where the network attends to the word of the source's text. None where that text does not say it.
    """

    def overlap(source: np.ndarray, result: np.ndarray, taught: Taught) -> float | None:
        tokens = tokens_of(backend, taught.source_text, word)
        if not tokens:
            return None
        one, other = (thing_mask(backend, picture, taught.source_text, tokens) for picture in (source, result))
        union = np.maximum(one, other).sum()
        return float(np.minimum(one, other).sum() / union) if union else None

    return overlap


def thing_mask(backend: Backend, picture: np.ndarray, text: str, tokens: tuple[int, ...]) -> np.ndarray:
    """Mask (h', w') in [0, 1], of the latent's size, of where the network attends to ``tokens`` of ``text``.

    picture: (h, w, 3) uint8. Noise is added to its latents, so no inversion is needed. See edits.word_mask.
    """
    clean = backend.encode(picture[None]).to(backend.device)
    schedule = backend.schedule(LEVELS)
    noise = seeded_noise(clean.shape, SEED).to(clean.device)
    moment = Moment(LEVELS - LEVEL, LEVELS, schedule.timestep(LEVEL))
    maps = CrossAttentionMaps(select(backend.sites, Kind.CROSS))
    noisy, context = ForwardProcess(clean, noise, schedule).at(LEVEL), backend.embed(text).batch()

    def recorded() -> list[Tensor]:
        maps.begin(moment)
        with session.during(moment, Lanes((SOURCE,), (0,))):
            backend.predict(noisy, moment.timestep, context)
        return [by_lane[SOURCE].cpu() for by_lane in maps.take().values()]

    with backend.busy, torch.no_grad(), injected(backend.network, [maps]) as session:
        found = CallGuard(backend, 1, ignore).run(recorded)
    return word_mask(found, tokens, *clean.shape[-2:])[0, 0].numpy()
