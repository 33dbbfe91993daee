"""The direction of a change from one concept to another, built about its phrase or read from the store."""

from pnpvideo.backends.backend import Text
from pnpvideo.events import Progress, Report
from pnpvideo.store import Store, fingerprint
from pnpvideo.words.direction import EditDirection, build_direction
from pnpvideo.words.direction_file import FORMAT
from pnpvideo.words.phrases import extend_to_phrase
from pnpvideo.words.templates import template_pairs


class ChangeDirections:
    """Directions for one change (source, target) in any prompt; each is built once, and kept in ``store``.

    placement: "word" makes the direction that of the phrase around the source (see phrases.py), "start" that of the
    concept alone. model: its name, for who lists the store.
    """

    def __init__(
        self, text: Text, change: tuple[str, str], placement: str, store: Store, model: str, report: Report
    ) -> None:
        self.text, self.change, self.placement = text, change, placement
        self.store, self.model, self.report = store, model, report
        self._built: dict[tuple[str, str], EditDirection] = {}

    def direction(self, prompt: str) -> EditDirection:
        """Return the direction of the change in ``prompt``. Raises StoreError if the store cannot be used."""
        source, target = self.change
        concepts = extend_to_phrase(prompt, source, target) if self.placement == "word" else (source, target)
        if concepts not in self._built:
            self._built[concepts] = self._load_or_build(*concepts)
        return self._built[concepts]

    def _load_or_build(self, source: str, target: str) -> EditDirection:
        first, second = template_pairs(source, target, self.text.known)
        key = fingerprint(FORMAT, self.text.fingerprint, source, target, first.sentences, second.sentences)
        about = {"change": f"{source} to {target}", "model": self.model}
        with self.store.entry("direction", key, about) as entry:
            if (stored := entry.get("direction")) is not None:
                tensors = stored[0]
                return EditDirection(
                    delta=tensors["delta"],
                    word=tensors.get("word"),
                    end=tensors.get("end"),
                    pooled=tensors.get("pooled"),
                    source=source,
                    target=target,
                    encoder=self.text.fingerprint,
                )
            total = len(first.sentences) + len(second.sentences)

            def report_progress(count: int) -> None:
                self.report(Progress(stage="embed", done=count, total=total, unit="sentence"))

            direction = build_direction(self.text, first, second, report_progress)
            entry.put("direction", direction.tensors())
        return direction
