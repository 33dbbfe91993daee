"""A journal of finished figures, with which an interrupted benchmark resumes."""

import contextlib
import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pnpvideo import __version__
from pnpvideo.backends.backend import Backend
from pnpvideo.engine.keys import FORMAT
from pnpvideo.measure.figures import replace_nonfinite
from pnpvideo.settings.options import Options


class Journal:
    """A file of JSON lines, one per row of figures, keyed by everything that the row depends on.

    path: None keeps nothing. context: what all rows depend on, besides the version of this package.
    """

    def __init__(self, path: Path | None, *context: Any) -> None:
        self.path, self.rows = path, {}
        self.context = [__version__, FORMAT, *(str(each) for each in context)]
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a line cut short by a kill
                    entry = json.loads(line)
                    self.rows[entry["key"]] = entry["figures"]

    @classmethod
    def of(cls, path: Path | None, backend: Backend, options: Any, base: Options) -> "Journal":
        """Open the journal of a benchmark, whose figures depend on the model, ``options`` and ``base``."""
        card = replace(backend.card, learned_words=frozenset())  # a set prints in another order in each process
        words = sorted(backend.card.learned_words)
        return cls(path, backend.fingerprint, options, base.stated(), card, words, backend.device)

    def get(self, *key: Any) -> dict[str, float] | None:
        """The row of ``key``, or None."""
        row = self.rows.get(self._key(key))
        return None if row is None else {name: float("nan" if value is None else value) for name, value in row.items()}

    def put(self, row: dict[str, float], *key: Any) -> None:
        """Append a row. NaN becomes null, and infinity a text, for strict JSON."""
        if self.path is not None:
            figures = replace_nonfinite(
                {name: repr(value) if math.isinf(value) else value for name, value in row.items()}
            )
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("\n" + json.dumps({"key": self._key(key), "figures": figures}))

    def _key(self, key: tuple[Any, ...]) -> str:
        return hashlib.sha256(repr((self.context, *key)).encode()).hexdigest()
