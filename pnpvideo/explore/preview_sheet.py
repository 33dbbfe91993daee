"""Draw the sheet of a preview: rows of frames, or for a single picture a grid over two dials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pnpvideo.explore.frames import ChosenFrames
from pnpvideo.explore.grid import PROMPT, Dial
from pnpvideo.explore.trial import Outcome
from pnpvideo.measure.sheet import SheetRow, draw_sheet

SHEET_WIDTH, WIDEST, NARROWEST = 1500, 420, 128  # pixels: about that of the sheet, and those of a picture


def preview_sheet(chosen: ChosenFrames, outcomes: Sequence[Outcome], dials: Sequence[Dial], input: str) -> Image.Image:
    """The source above, then the cells: of one picture, a column for each value of the first dial and a row for each of
    the second; of several, a row for each cell."""
    first = outcomes[0]
    prompts = list(dict.fromkeys(outcome.cell.prompt for outcome in outcomes))
    title = _title(first) if len(prompts) == 1 else Path(input).name
    facts = [Path(input).name, *_common(outcomes)]
    rows = _grid(chosen, outcomes, dials) if len(chosen.frames) == 1 else _rows(chosen, outcomes)
    columns = max(len(row.pictures) for row in rows)
    width = max(NARROWEST, min(WIDEST, SHEET_WIDTH // columns, chosen.frames[0].pixels.shape[1]))
    return draw_sheet(rows, title, "  ·  ".join(facts), width)


def _common(outcomes: Sequence[Outcome]) -> list[str]:
    """Model, method, preset and steps, as far as all cells have them in common."""
    flats = [outcome.resolved.flat() for outcome in outcomes]
    common = {name: flats[0][name] for name in ("model", "method", "preset", "steps")}
    common = {name: value for name, value in common.items() if all(flat[name] == value for flat in flats)}
    return [f"{value} steps" if name == "steps" else str(value) for name, value in common.items()]


def _title(outcome: Outcome) -> str:
    change = outcome.resolved.prompts.change
    return outcome.cell.prompt or (" to ".join(change) if change else "edit")


def _rows(chosen: ChosenFrames, outcomes: Sequence[Outcome]) -> list[SheetRow]:
    rows = [SheetRow([frame.pixels for frame in chosen.frames], "source", headings=_places(chosen))]
    for outcome in outcomes:
        notes = [_setting(name, text) for name, text in outcome.cell.dials.items()]
        rows.append(SheetRow(outcome.pictures, f"#{outcome.cell.number}", [*notes, _seconds(outcome)]))
    return rows


def _grid(chosen: ChosenFrames, outcomes: Sequence[Outcome], dials: Sequence[Dial]) -> list[SheetRow]:
    across = len(dials[0].values) if dials else 1
    rows = [SheetRow([chosen.frames[0].pixels], "source")]
    for index, begin in enumerate(range(0, len(outcomes), across)):
        cells = outcomes[begin : begin + across]
        name = _values(dials[1])[index] if len(dials) > 1 else ""
        captions = [f"#{outcome.cell.number}   {_seconds(outcome)}" for outcome in cells]
        headings = _values(dials[0]) if dials and index == 0 else []
        rows.append(SheetRow([outcome.pictures[0] for outcome in cells], name, headings=headings, captions=captions))
    return rows


def _values(dial: Dial) -> list[str]:
    return [_setting(dial.name, text) for text in dial.texts]


def _setting(name: str, text: str) -> str:
    """A value of a dial; of a prompt the words alone."""
    return text if name == PROMPT else f"{name.replace('_', ' ')} = {text}"


def _places(chosen: ChosenFrames) -> list[str]:
    several = len(chosen.shots) > 1
    shots = [shot.index + 1 for shot in chosen.shots for _ in shot.frames]
    return [
        f"frame {frame.index}  ·  {seconds:.2f} s" + (f"  ·  shot {shot}" if several else "")
        for frame, seconds, shot in zip(chosen.frames, chosen.seconds, shots, strict=True)
    ]


def _seconds(outcome: Outcome) -> str:
    return f"{outcome.seconds:.1f} s"
