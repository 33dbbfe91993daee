"""The command line with a stand-in for the engine, and away from the settings of whoever runs the tests."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pnpvideo.events import Report
from pnpvideo.settings.options import Options


@dataclass
class Engine:
    """Takes the place of ``pnpvideo.translate``, and remembers how it was called."""

    calls: list[tuple[Path | None, str | None, Path | str, Options]] = field(default_factory=list)
    work: Callable[[Report], None] = lambda report: None

    def translate(
        self, input: Path | None, prompt: str | None, output: Path | str, options: Options, *, report: Report
    ) -> Any:
        self.calls.append((input, prompt, output, options))
        self.work(report)
        result = ModuleType("result")
        result.__dict__.update(
            output=output, clip=None, report={"seed": options.sampling.seed, "timings": {"sample": 1.5}}
        )
        return result

    @property
    def options(self) -> Options:
        (call,) = self.calls
        return call[3]


START_OF_VIDEO = b"\0\0\0\x18ftypisom"
"""As much of an MP4 as tells that it is one."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A stand-in that takes inputs, masks and models that do not exist, so nothing is checked before it."""
    engine = Engine()
    module = ModuleType("pnpvideo.pipeline")
    module.__dict__["translate"] = engine.translate
    monkeypatch.setitem(sys.modules, "pnpvideo.pipeline", module)
    monkeypatch.setattr("pnpvideo.cli.run.check_run", lambda source, prompt, output, options: None)
    return engine


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without settings, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("PNPVIDEO_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, "warning"))  # put back afterwards
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
