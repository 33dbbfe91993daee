"""Journal of finished figures, so that an interrupted benchmark continues where it stopped."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from pnpvideo import __version__
from pnpvideo.backends.backend import Backend
from pnpvideo.engine.keys import FORMAT
from pnpvideo.measure.figures import finite
from pnpvideo.settings.options import Options


class Journal:
    """A file with one line per row of figures, keyed by everything that the row depends on. path None: keep nothing."""

    def __init__(self, path: Path | None, *given: Any) -> None:
        self.path, self.rows = path, {}
        self.given = [__version__, FORMAT, *(str(each) for each in given)]
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a line cut short by a kill
                    entry = json.loads(line)
                    self.rows[entry["key"]] = entry["figures"]

    @classmethod
    def of(cls, path: Path | None, backend: Backend, options: Any, base: Options) -> "Journal":
        """Open the journal of a benchmark: figures depend on the model, ``options`` and what ``base`` states."""
        return cls(path, backend.fingerprint, options, base.stated(), backend.card, backend.device)

    def get(self, *key: Any) -> dict[str, float] | None:
        row = self.rows.get(self._key(key))
        return None if row is None else {name: float("nan") if value is None else value for name, value in row.items()}

    def put(self, row: dict[str, float], *key: Any) -> None:
        if self.path is not None:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("\n" + json.dumps({"key": self._key(key), "figures": finite(row)}))

    def _key(self, key: tuple[Any, ...]) -> str:
        return hashlib.sha256(repr((self.given, *key)).encode()).hexdigest()
