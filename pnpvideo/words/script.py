"""The script of a shot: its source prompt (written or captioned), prompt and negative prompt, and their embeddings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.events import Notice, Report
from pnpvideo.injection import Conditioning
from pnpvideo.settings.effective import reads_source_prompt
from pnpvideo.settings.options import Options
from pnpvideo.store import Store, fingerprint
from pnpvideo.words.caption import Captioner
from pnpvideo.words.change import ChangeDirections
from pnpvideo.words.direction import apply_directions
from pnpvideo.words.direction_file import load_direction
from pnpvideo.words.prompt_checks import advise_unlearned, advise_unmentioned, unlearned_words
from pnpvideo.words.prompt_embedding import embed_prompt
from pnpvideo.words.prompt_weights import escaped, parse_weights, plain_text

DEFAULT_CAPTIONERS = ("Salesforce/blip-image-captioning-base", "Salesforce/blip-image-captioning-large")
"""Tried in turn: some copies of the first have no safetensors."""


@dataclass(frozen=True)
class Script:
    """source, prompt, negative: the texts, with their weights (see prompt_weights.py).

    prompt_embeddings: lane ("source", "empty", "negative", "positive") -> embedding; that of
    "positive" includes the directions.
    """

    source: str
    prompt: str
    negative: str
    prompt_embeddings: Mapping[str, Conditioning]


Captions = dict[str, str]
"""Captions that were made before, by captioner and picture; see ScriptWriter."""


class ScriptWriter:
    """Writes the script of each shot.

    prompt: None for an edit without a prompt: the source prompt, moved along the directions. captions: known ones, to
    which new ones are added; translators of the same pictures may share them. Raises OptionError if there is neither
    prompt nor direction, InputError and ModelError for a direction that cannot be used.
    """

    def __init__(
        self,
        backend: Backend,
        options: Options,
        prompt: str | None,
        store: Store,
        report: Report,
        captions: Captions | None = None,
    ) -> None:
        self.captions: Captions = {} if captions is None else captions
        self.backend, self.options, self.prompt, self.report = backend, options.prompts, prompt, report
        self.describes = reads_source_prompt(options)
        self.needs_caption, self.keeps_background = options.method.needs_caption, options.region.keep_background
        self.files = [(load_direction(Path(path)), strength) for path, strength in options.prompts.directions]
        text = backend.text
        for direction, _ in self.files:
            direction.check_encoder(text.fingerprint, (text.length, text.width), text.pooled_width)
        if prompt is None and not self.files and options.prompts.change is None:
            raise OptionError("there is no prompt and no direction; give one of the two: what is to change?")
        self._change: ChangeDirections | None = None
        if (change := self.options.change) is not None:
            placement = self.options.placement
            self._change = ChangeDirections(backend.text, change, placement, store, options.model, report)
        self._reported: set[str] = set()
        self._embeddings: dict[str, Conditioning] = {}

    def write(self, picture: Callable[[], np.ndarray]) -> Script:
        """Return the script of a shot. ``picture`` returns one of its frames, (h, w, 3) uint8 RGB.

        It is called only if there is no source prompt and the run depends on one, to be captioned. Raises ModelError if
        a caption is needed and there is no captioner.
        """
        source = self.options.source_prompt
        if source is None:
            source = self._caption(picture) if self.describes else ""
        negative = (self.options.negative or "").replace("{source}", source)
        prompt = source if self.prompt is None else self.prompt
        text = plain_text(prompt)
        self._check_mentions(text)
        self._check_words([text, plain_text(source), plain_text(negative)])
        directions = list(self.files)
        if self._change is not None:
            directions.append((self._change.direction(text), self.options.change_strength))
        embeddings = {"source": self._embed(source), "empty": self._embed(""), "negative": self._embed(negative)}
        plain = self._embed(prompt)
        embeddings["positive"] = apply_directions(self.backend.text, text, plain, directions, self.options.placement)
        return Script(source, prompt, negative, embeddings)

    def _check_mentions(self, text: str) -> None:
        """Report each concept that is to change and that ``text`` does not mention.

        The direction of a file need not be about a word of a prompt that the user wrote.
        """
        concepts = [] if self.options.change is None else [self.options.change[0]]
        if self.prompt is None:
            concepts += [direction.source for direction, strength in self.files if strength > 0 and direction.source]
        if self.keeps_background:
            concepts = concepts[1:]  # the engine looks for the first, and keeps a shot that does not show it
        caption = "caption" if self.options.source_prompt is None else "source prompt"
        for message in advise_unmentioned(concepts, caption if self.prompt is None else "prompt", text):
            self._report_once(message)

    def _check_words(self, texts: list[str]) -> None:
        """Report each word of ``texts`` and of the directions' concepts that the model was not trained on, once."""
        texts += self.options.change or ()
        texts += [concept for direction, _ in self.files for concept in (direction.source, direction.target)]
        words = [word for text in texts for word in unlearned_words(text, self.backend.card.learned_words)]
        if new := [word for word in dict.fromkeys(words) if word not in self._reported]:
            self._reported.update(new)
            self._report_once(advise_unlearned(new))

    def _caption(self, picture: Callable[[], np.ndarray]) -> str:
        shown = picture()
        key = fingerprint(self.options.captioner or self.backend.captioner, shown)
        if key not in self.captions:
            if self._captioner is None:
                return ""
            self.captions[key] = self._captioner.captions([shown])[0]
        caption = self.captions[key]
        self._report_once(f"the input shows: {caption!r}")
        return escaped(caption)

    @cached_property
    def _captioner(self) -> Captioner | None:
        """None, which is reported, if no captioner can be loaded and the prompt suffices."""
        own, first_error = self.options.captioner or self.backend.captioner, None
        if own is None:
            self._report_once("a captioner is loaded to describe the input; with --source-prompt it is not needed")
        for name in DEFAULT_CAPTIONERS if own is None else (own,):
            try:
                return Captioner(name, self.backend.device, self.report)
            except ModelError as error:
                first_error = first_error or error
        if self.options.captioner is not None or self.prompt is None or self.needs_caption:
            raise ModelError(f"{first_error}; or say what the input shows: --source-prompt") from first_error
        self._report_once(
            f"nothing says what the input shows ({first_error}); the empty caption is used: see --source-prompt"
        )
        return None

    def _embed(self, prompt: str) -> Conditioning:
        if prompt not in self._embeddings:
            weighted = [piece for piece in parse_weights(prompt) if piece.weight != 1]
            if weighted:
                listed = ", ".join(f"{piece.text.strip()!r} {piece.weight:g}" for piece in weighted)
                self._report_once(f"weights in {prompt!r}: {listed}")
            if unread := self.backend.text.truncation(plain_text(prompt)):
                self._report_once(f"the text is longer than the model reads; not read: {unread!r}")
            self._embeddings[prompt] = embed_prompt(self.backend, prompt).to("cpu")  # there may be as many as shots
        return self._embeddings[prompt].to(self.backend.device)

    def _report_once(self, message: str) -> None:
        if message not in self._reported:
            self._reported.add(message)
            self.report(Notice(message=message))
