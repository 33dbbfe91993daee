"""What each lane of a shot is told: its source prompt, written or captioned, the prompt, the negative, directions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.learned_words import LEARNED_WORDS
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.settings.options import Options
from pnpvideo.store import Store, fingerprint
from pnpvideo.words.caption import Captioner
from pnpvideo.words.direction import FORMAT, Direction, build, load, moved, tensors_of
from pnpvideo.words.prompt_weights import embed_prompt, escaped, parse_weights, plain_text
from pnpvideo.words.sentences import in_phrase, mentions, paired
from pnpvideo.words.vocabulary import unlearned_words

BLIPS = ("Salesforce/blip-image-captioning-base", "Salesforce/blip-image-captioning-large")
"""Asked for in turn: some copies of the first have no safetensors."""


@dataclass(frozen=True)
class Script:
    """source, prompt, negative: the texts, as given, with their weights (see prompt_weights.py).

    words: lane -> embedding (tokens, channels), directions included.
    """

    source: str
    prompt: str
    negative: str
    words: Mapping[str, Tensor]


class Scripts:
    """Writes the script of each shot. ``prompt`` None: what the source shows, moved along the directions."""

    def __init__(self, backend: Backend, options: Options, prompt: str | None, store: Store, report: Report) -> None:
        self.backend, self.options, self.prompt, self.report = backend, options.prompts, prompt, report
        self.needs_caption, self.keeps_background = options.method.needs_caption, options.region.keep_background
        self.store, self.model = store, options.model
        self.files = [(load(Path(path)), strength) for path, strength in options.prompts.directions]
        for direction, _ in self.files:
            direction.check(backend.text.fingerprint, (backend.text.length, backend.text.width))
        if prompt is None and not self.files and options.prompts.change is None:
            raise OptionError("there is no prompt and no direction; give one of the two: what is to change?")
        self._told: set[str] = set()
        self._embedded: dict[str, Tensor] = {}
        self._changes: dict[tuple[str, str], Direction] = {}

    def of(self, picture: Callable[[], np.ndarray]) -> Script:
        """``picture`` makes a frame of the shot, (h, w, 3) uint8; it is called where nothing says what is shown."""
        source = self.options.source_prompt
        if source is None:
            source = self._caption(picture)
        negative = (self.options.negative or "").replace("{source}", source)
        prompt = source if self.prompt is None else self.prompt
        text = plain_text(prompt)
        self._report_unmentioned(text)
        self._report_unlearned([text, plain_text(source), plain_text(negative), *self._concepts()])
        words = {
            "source": self._embed(source),
            "empty": self._embed(""),
            "negative": self._embed(negative),
            "positive": moved(
                self.backend.text, text, self._embed(prompt), self._directions(text), self.options.placement
            ),
        }
        return Script(source, prompt, negative, words)

    def _report_unmentioned(self, prompt: str) -> None:
        """Report each concept that is to change and that ``prompt`` does not mention: its edit has no place in it.

        A direction file added to a prompt that the user wrote need not be about one of its words.
        """
        sought = [] if self.options.change is None else [self.options.change[0]]
        if self.prompt is None:
            sought += [direction.source for direction, strength in self.files if strength > 0 and direction.source]
        if self.keeps_background:
            sought = sought[1:]  # the engine looks for the first, and keeps a shot that does not show it
        name = (
            "prompt"
            if self.prompt is not None
            else "caption"
            if self.options.source_prompt is None
            else "source prompt"
        )
        for concept in sought:
            if not mentions(prompt, concept):
                self._tell(
                    f"{concept!r}, which is to change, is not in the {name} {prompt!r}: the edit is added to the text "
                    "as a whole and may change something else, or nothing; name what the text says, or give a "
                    "--source-prompt that says it"
                )

    def _concepts(self) -> list[str]:
        """Both ends of every direction."""
        named = [concept for direction, _ in self.files for concept in (direction.source, direction.target)]
        return [*(self.options.change or ()), *named]

    def _report_unlearned(self, texts: Sequence[str]) -> None:
        """Report each word that the model was not trained on, once, where the checkpoint lists its words."""
        new = [word for text in texts for word in unlearned_words(text, self.backend.card.learned_words)]
        if new := [word for word in dict.fromkeys(new) if word not in self._told]:
            self._told.update(new)
            listed = ", ".join(map(repr, new))
            self._tell(
                f"this model was trained on few words, and not on {listed}: it will draw something else; name a larger "
                f"checkpoint, such as --model sd15, or use words of its {LEARNED_WORDS}"
            )

    def _caption(self, picture: Callable[[], np.ndarray]) -> str:
        if self._captioner is None:
            return ""
        said = self._captioner.captions([picture()])[0]
        self._tell(f"the input shows: {said!r}")
        return escaped(said)

    @cached_property
    def _captioner(self) -> Captioner | None:
        """None where there is none and the prompt says enough: told once, and not tried again."""
        own, failed = self.options.captioner or self.backend.captioner, None
        if own is None:
            self._tell("a captioner is wanted to say what the input shows; --source-prompt would say it instead")
        for name in BLIPS if own is None else (own,):
            try:
                return Captioner(name, self.backend.device)
            except ModelError as absent:
                failed = failed or absent
        if self.options.captioner is not None or self.prompt is None or self.needs_caption:
            raise ModelError(f"{failed}; or say what the input shows: --source-prompt") from failed
        self._tell(f"nothing says what the input shows ({failed}); the empty caption is used: see --source-prompt")
        return None

    def _embed(self, prompt: str) -> Tensor:
        if prompt not in self._embedded:
            weighted = [
                f"{piece.text.strip()!r} {piece.weight:g}" for piece in parse_weights(prompt) if piece.weight != 1
            ]
            if weighted:
                self._tell(f"weights in {prompt!r}: {', '.join(weighted)}")
            if lost := self.backend.text.truncation(plain_text(prompt)):
                self._tell(f"the text is longer than the model reads; not read: {lost!r}")
            self._embedded[prompt] = embed_prompt(self.backend, prompt).cpu()  # there may be as many as shots
        return self._embedded[prompt].to(self.backend.device)

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self.report(Notice(message=message))

    def _directions(self, text: str) -> list[tuple[Direction, float]]:
        """Those of files and of the change, which is built about the phrase that ``text`` has it in."""
        if self.options.change is None:
            return self.files
        source, target = self.options.change
        if self.options.placement == "word":
            source, target = in_phrase(text, source, target)
        if (source, target) not in self._changes:
            self._changes[source, target] = self._built(source, target)
        return [*self.files, (self._changes[source, target], self.options.change_strength)]

    def _built(self, source: str, target: str) -> Direction:
        """The direction between two concepts, from the store where it was built before."""
        first, second = paired(source, target, self.backend.text.known)
        total = len(first.kept) + len(second.kept)
        key = fingerprint(FORMAT, self.backend.text.fingerprint, first.kept, second.kept)
        about = {"change": f"{source} to {target}", "model": self.model}
        with self.store.entry("direction", key, about) as entry:
            if (kept := entry.get("direction")) is not None:
                held = kept[0]
                return Direction(
                    delta=held["delta"],
                    word=held.get("word"),
                    end=held.get("end"),
                    source=source,
                    target=target,
                    encoder=self.backend.text.fingerprint,
                )

            def said(count: int) -> None:
                self.report(Progress(stage="embed", done=count, total=total, unit="sentence"))

            built = build(self.backend.text, first, second, done=said)
            entry.put("direction", tensors_of(built))
        return built
