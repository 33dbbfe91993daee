"""Sheets: labelled rows of pictures under a title, for contact sheets and previews."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pnpvideo.video.pixels import composite_over_white

PADDING, GAP, ROW_GAP = 24, 8, 16  # pixels: around the sheet, between pictures, between rows
LABEL = 190  # pixels: the widest that labels beside the rows become
TITLE, NAME, NOTE = 24, 17, 14  # font sizes, in pixels
INK, GREY, PAPER, FRAME = "#16181d", "#5b6170", "#ffffff", "#d8dbe2"


@dataclass(frozen=True)
class SheetRow:
    """One row. pictures: (h, w, 3 or 4) uint8, all of one size; None: an empty place. name, notes: beside the row.
    headings, captions: above and below the pictures."""

    pictures: Sequence[np.ndarray | None]
    name: str = ""
    notes: Sequence[str] = ()
    headings: Sequence[str] = ()
    captions: Sequence[str] = ()


def draw_sheet(rows: Sequence[SheetRow], title: str = "", subtitle: str = "", width: int | None = None) -> Image.Image:
    """Draw rows of pictures below each other. width: of a picture in pixels; None: unscaled."""
    first = next(picture for row in rows for picture in row.pictures if picture is not None)
    tall, wide = first.shape[:2]
    wide, tall = (wide, tall) if width is None else (width, max(1, round(tall * width / wide)))
    columns = max(len(row.pictures) for row in rows)
    labels = [_label(row) for row in rows]
    left = PADDING + max([_extent(line, size)[0] + 2 * GAP for label in labels for line, size, _ in label] or [0])
    full = left + columns * (wide + GAP) - GAP + PADDING
    head = [(line, TITLE, INK) for line in _wrapped(title, TITLE, full - 2 * PADDING)]
    head += [(line, NOTE, GREY) for line in _wrapped(subtitle, NOTE, full - 2 * PADDING)]
    above = [[_wrapped(heading, NOTE, wide) for heading in row.headings] for row in rows]
    raised = [_height(NOTE) * max(map(len, lines), default=0) + (GAP if lines else 0) for lines in above]
    below = [_height(NOTE) if row.captions else 0 for row in rows]
    beside = [sum(_height(size) for _, size, _ in label) for label in labels]
    heights = [up + max(tall + down, side) for up, down, side in zip(raised, below, beside, strict=True)]
    top = PADDING + sum(_height(size) for _, size, _ in head) + (ROW_GAP if head else 0)
    sheet = Image.new("RGB", (full, top + sum(heights) + ROW_GAP * (len(rows) - 1) + PADDING), PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (PADDING, PADDING), head)
    for index, row in enumerate(rows):
        start = top + raised[index]
        _write(draw, (PADDING, start), labels[index])
        for column, picture in enumerate(row.pictures):
            across = left + column * (wide + GAP)
            if column < len(above[index]):
                lines = above[index][column]
                _write(draw, (across, start - GAP - _height(NOTE) * len(lines)), [(line, NOTE, GREY) for line in lines])
            if picture is not None:
                sheet.paste(_scaled(picture, (wide, tall)), (across, start))
                draw.rectangle((across - 1, start - 1, across + wide, start + tall), outline=FRAME)
            if column < len(row.captions):
                _write(draw, (across, start + tall + 3), [(row.captions[column], NOTE, INK)])
        top += heights[index] + ROW_GAP
    return sheet


def contact_sheet(
    rows: Mapping[str, Sequence[np.ndarray] | np.ndarray],
    columns: int = 6,
    width: int | None = None,
    unit: str = "frame",
) -> Image.Image:
    """Draw a labelled row for each clip.

    rows: label -> frames (h, w, 3) uint8, equally many and of one size. columns: number of frames, evenly spaced from
    first to last. width: of a frame in pixels; None: unscaled. unit: word before the frame numbers.
    """
    count = len(next(iter(rows.values())))
    chosen = list(dict.fromkeys(round(column * (count - 1) / max(1, columns - 1)) for column in range(columns)))
    drawn = [SheetRow([np.asarray(clip[frame]) for frame in chosen], label) for label, clip in rows.items()]
    drawn[0] = replace(drawn[0], headings=[f"{unit} {frame}" for frame in chosen])
    return draw_sheet(drawn, width=width)


Line = tuple[str, int, str]
"""A line of text, its size in pixels and its colour."""


def _label(row: SheetRow) -> list[Line]:
    lines = [(line, NAME, INK) for line in _wrapped(row.name, NAME, LABEL)]
    return lines + [(line, NOTE, GREY) for note in row.notes for line in _wrapped(note, NOTE, LABEL)]


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], lines: Sequence[Line]) -> None:
    left, top = place
    for line, size, colour in lines:
        draw.text((left, top), line, font=ImageFont.load_default(size), fill=colour)
        top += _height(size)


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` pixels, at spaces, and within words that are longer."""
    lines: list[str] = []
    for word in _words(text):
        if lines and _extent(f"{lines[-1]} {word}", size)[0] <= width:
            lines[-1] += f" {word}"
            continue
        while word and _extent(word, size)[0] > width:
            fits = next((end for end in range(len(word), 1, -1) if _extent(word[:end], size)[0] <= width), 1)
            lines.append(word[:fits])
            word = word[fits:]
        lines += [word] if word else []
    return lines


def _words(text: str) -> list[str]:
    return "".join(c if c.isprintable() else " " for c in text).split()


def _extent(text: str, size: int) -> tuple[int, int]:
    left, top, right, bottom = ImageFont.load_default(size).getbbox(text)
    return round(right - left), round(bottom - top)


def _height(size: int) -> int:
    """Height of a line of text, in pixels."""
    return round(1.4 * size)


def _scaled(picture: np.ndarray, size: tuple[int, int]) -> Image.Image:
    opaque = Image.fromarray(np.ascontiguousarray(composite_over_white(picture)))
    return opaque if opaque.size == size else opaque.resize(size, Image.Resampling.LANCZOS)
