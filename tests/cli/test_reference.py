"""docs/cli.md says what the commands say, and docs/python.md what the options are."""

from pathlib import Path

import pytest
from pnpvideo.cli.reference import python_reference, reference

import pnpvideo
from pnpvideo.option import specs

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "cli.md").read_text("utf-8") == reference(), "run: python -m pnpvideo.cli.reference docs/cli.md"


def test_the_page_of_options_is_up_to_date_and_has_every_group() -> None:
    page = (DOCS / "python.md").read_text("utf-8")
    assert page == python_reference(), "run: python -m pnpvideo.cli.reference docs/python.md"
    options = pnpvideo.Options()
    for name in ("prompts", "sampling", "region", "reading", "runtime", "customization", "control"):
        group = getattr(options, name)
        assert f"## `{name}`: `pnpvideo.{type(group).__name__}`" in page
        assert all(f"\n| `{option}` | " in page for option in specs(group))
    for part in (pnpvideo.Pix2PixZero, pnpvideo.FlowEdit, pnpvideo.TokenFlow, pnpvideo.Independent):
        assert f"### `pnpvideo.{part.__name__}`" in page


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    before = reference()
    monkeypatch.setenv("COLUMNS", columns)
    assert reference() == before
