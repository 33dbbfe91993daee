"""docs/cli.md says what the commands say."""

from pathlib import Path

import pytest
from pnpvideo.cli.reference import reference

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == reference(), "run: python -m pnpvideo.cli.reference docs/cli.md"


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    before = reference()
    monkeypatch.setenv("COLUMNS", columns)
    assert reference() == before
