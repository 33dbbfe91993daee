"""What each lane of a shot is told: its source prompt, written or captioned, the prompt, the negative, directions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.options import TranslateOptions
from pnpvideo.store import Store, fingerprint
from pnpvideo.words.caption import Captioner
from pnpvideo.words.direction import Direction, build, combined, load
from pnpvideo.words.sentences import checked, from_templates

BLIPS = ("Salesforce/blip-image-captioning-base", "Salesforce/blip-image-captioning-large")
"""Asked for in turn: some copies of the first have no safetensors."""


@dataclass(frozen=True)
class Script:
    """source, prompt, negative: the texts. words: lane -> embedding (tokens, channels), directions included."""

    source: str
    prompt: str
    negative: str
    words: Mapping[str, Tensor]


class Scripts:
    """Writes the script of each shot. ``prompt`` None: what the source shows, moved along the directions."""

    def __init__(
        self, backend: Backend, options: TranslateOptions, prompt: str | None, store: Store, report: Report
    ) -> None:
        self.backend, self.options, self.prompt, self.report = backend, options, prompt, report
        self.directions = self._directions(store)
        if prompt is None and not self.directions:
            raise OptionError("there is no prompt and no direction; give one of the two: what is to change?")
        self._told: set[str] = set()
        self._embedded: dict[str, Tensor] = {}

    def of(self, picture: Callable[[], np.ndarray]) -> Script:
        """``picture`` makes a frame of the shot, (h, w, 3) uint8; it is called where nothing says what is shown."""
        source = self.options.source_prompt
        if source is None:
            source = self._caption(picture)
        negative = self.options.negative
        if negative is None:
            negative = self._usual_negative(source)
        negative = negative.replace("{source}", source)
        prompt = source if self.prompt is None else self.prompt
        words = {
            "source": self._embed(source),
            "empty": self._embed(""),
            "negative": self._embed(negative),
            "positive": combined(self._embed(prompt), self.directions),
        }
        return Script(source, prompt, negative, words)

    def _usual_negative(self, source: str) -> str:
        """Of pix2pix-zero an inverted picture's caption, or nothing, as a generated one's own run had; of others a
        generated picture's source, or the card's."""
        if self.options.method == "pix2pix-zero":
            return "" if self.options.generate else source
        return source if self.options.generate else self.backend.card.negative

    def _caption(self, picture: Callable[[], np.ndarray]) -> str:
        if self._captioner is None:
            return ""
        said = self._captioner.captions([picture()])[0]
        self._tell(f"the input shows: {said!r}")
        return said

    @cached_property
    def _captioner(self) -> Captioner | None:
        """None where there is none and the prompt says enough: told once, and not tried again."""
        own, failed = self.options.captioner or self.backend.captioner, None
        if own is None:
            self._tell("a captioner is wanted to say what the input shows; --source-prompt would say it instead")
        for name in BLIPS if own is None else (own,):
            try:
                return Captioner(name, next(self.backend.network.parameters()).device)
            except ModelError as absent:
                failed = failed or absent
        if self.options.captioner is not None or self.prompt is None or self.options.method == "pix2pix-zero":
            raise ModelError(f"{failed}; or say what the input shows: --source-prompt") from failed
        self._tell(f"nothing says what the input shows ({failed}); the empty caption is used: see --source-prompt")
        return None

    def _embed(self, text: str) -> Tensor:
        if text not in self._embedded:
            if lost := self.backend.text.truncation(text):
                self._tell(f"the text is longer than the model reads; not read: {lost!r}")
            self._embedded[text] = self.backend.embed(text)
        return self._embedded[text]

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self.report(Notice(message=message))

    def _directions(self, store: Store) -> Sequence[tuple[Direction, float]]:
        text = self.backend.text
        found = [(load(Path(path)), strength) for path, strength in self.options.directions]
        if self.options.change is not None:
            found.append((self._built(store, *self.options.change), 1.0))
        for direction, _ in found:
            direction.check(text.fingerprint, (text.length, text.width))
        return found

    def _built(self, store: Store, source: str, target: str) -> Direction:
        """The direction between two concepts, from the store where it was built before."""
        first, second = (checked(word, from_templates(word)) for word in (source, target))
        total = len(first.kept) + len(second.kept)
        with store.entry("direction", fingerprint(self.backend.text.fingerprint, first.kept, second.kept)) as entry:
            if (kept := entry.get("direction")) is not None:
                return Direction(
                    delta=kept[0]["delta"], source=source, target=target, encoder=self.backend.text.fingerprint
                )

            def said(count: int) -> None:
                self.report(Progress(stage="embed", done=count, total=total, unit="sentence"))

            built = build(self.backend.text, first, second, done=said)
            entry.put("direction", {"delta": built.delta})
        return built
