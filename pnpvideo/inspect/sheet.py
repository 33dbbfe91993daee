"""Lay out labelled tiles in rows and columns, and colour what tiles show."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP, MARGIN = 4, 12  # pixels
TEXT, SMALL = 15, 12  # pixels, of letters
INK, FAINT = (20, 20, 20), (110, 110, 110)


@dataclass(frozen=True)
class Cell:
    """Tiles side by side below one column's title, (h, w, 3) uint8 of any size.

    caption: a small line below them. beside: pictures in whose proportions the tiles are drawn, one each; (): own ones.
    """

    tiles: Sequence[np.ndarray] = ()
    caption: str = ""
    beside: Sequence[np.ndarray] = ()

    def scaled(self, height: int) -> list[np.ndarray]:
        """The tiles at this height in pixels."""
        return [
            scale_to_height(tile, height, like.shape[1] / like.shape[0])
            for tile, like in zip(self.tiles, self.beside or self.tiles, strict=True)
        ]


@dataclass(frozen=True)
class Row:
    """A row of cells. label: lines to its left, the first one in larger letters."""

    label: Sequence[str]
    cells: Sequence[Cell] = field(default_factory=tuple)


def draw_sheet(title: Sequence[str], columns: Sequence[str], rows: Sequence[Row], height: int = 128) -> Image.Image:
    """Draw rows of tiles. title: lines, the first one in larger letters. columns: titles, may be fewer than cells.

    height: of each tile in pixels. Tiles that are smaller are enlarged without smoothing, so that single cells show.
    """
    scaled = [[cell.scaled(height) for cell in row.cells] for row in rows]
    count = max((len(row) for row in scaled), default=0)
    small, large = ImageFont.load_default(SMALL), ImageFont.load_default(TEXT)
    widths = [
        max(
            max((_width(row[place]) for row in scaled if place < len(row)), default=0),
            max((int(small.getlength(row.cells[place].caption)) for row in rows if place < len(row.cells)), default=0),
            int(large.getlength(columns[place])) if place < len(columns) else 0,
        )
        for place in range(count)
    ]
    left = (
        MARGIN
        + max([int(_font(n).getlength(line)) for row in rows for n, line in enumerate(row.label)], default=0)
        + MARGIN
    )
    starts = [left + sum(widths[:place]) + 3 * GAP * place for place in range(count)]
    captioned = [any(cell.caption for cell in row.cells) for row in rows]
    heights = [
        max(height if any(cell.tiles for cell in row.cells) else 0, (TEXT + GAP) * len(row.label))
        + GAP
        + (SMALL + 2 * GAP) * caption
        for row, caption in zip(rows, captioned, strict=True)
    ]
    head = MARGIN + (TEXT + 2 * GAP) * len(title) + (TEXT + 2 * GAP) * bool(columns)
    wide = max(
        [left + sum(widths) + 3 * GAP * count + MARGIN]
        + [int(_font(n).getlength(line)) + 2 * MARGIN for n, line in enumerate(title)]
    )
    sheet = Image.new("RGB", (wide, head + sum(heights) + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    for n, line in enumerate(title):
        draw.text((MARGIN, MARGIN + n * (TEXT + 2 * GAP)), line, fill=FAINT if n else INK, font=_font(n))
    for place, name in enumerate(columns):
        draw.text((starts[place], head - TEXT - 2 * GAP), name, fill=INK, font=large)
    for number, row in enumerate(rows):
        top = head + sum(heights[:number])
        for n, line in enumerate(row.label):
            draw.text((MARGIN, top + n * (TEXT + GAP)), line, fill=FAINT if n else INK, font=_font(n))
        for place, cell in enumerate(row.cells):
            x = starts[place]
            for tile in scaled[number][place]:
                sheet.paste(Image.fromarray(tile), (x, top))
                x += tile.shape[1] + GAP
            draw.text((starts[place], top + height + 2), cell.caption, fill=FAINT, font=small)
    return sheet


def _font(line: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(SMALL if line else TEXT)


def _width(tiles: Sequence[np.ndarray]) -> int:
    return sum(int(tile.shape[1]) for tile in tiles) + GAP * max(0, len(tiles) - 1)


def scale_to_height(tile: np.ndarray, height: int, aspect: float) -> np.ndarray:
    """Resize (h, w, 3) uint8 to this height: enlarged without smoothing, reduced by area averaging.

    aspect: width / height of the result.
    """
    tall, size = tile.shape[0], (max(1, round(aspect * height)), height)
    return cv2.resize(tile, size, interpolation=cv2.INTER_NEAREST if tall < height else cv2.INTER_AREA)


def as_rgb(scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Show three components as red, green and blue, (h, w, 3) uint8, in one scale for all pictures.

    scores: (h, w, k) of each picture; missing components are 0. A component's 1st to 99th percentile becomes 0 to 255.
    """
    padded = [np.pad(one[..., :3], ((0, 0), (0, 0), (0, max(0, 3 - one.shape[2])))) for one in scores]
    values = np.concatenate([one.reshape(-1, 3) for one in padded])
    low, high = np.percentile(values, (1, 99), axis=0)
    span = np.maximum(high - low, 1e-12)
    return [np.rint(255 * np.clip((one - low) / span, 0, 1)).astype(np.uint8) for one in padded]


def as_heat(values: np.ndarray, highest: float) -> np.ndarray:
    """Show (h, w) of 0 to ``highest`` as colours from black over red to yellow, (h, w, 3) uint8."""
    share = np.clip(values / max(highest, 1e-12), 0, 1)
    grey = np.rint(255 * share).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def with_mark(picture: np.ndarray, point: tuple[float, float], height: int = 256) -> np.ndarray:
    """Enlarge a picture (h, w, 3) uint8 to ``height`` if it is smaller, and ring the point (x, y), shares of it."""
    tall, wide = picture.shape[:2]
    marked = np.ascontiguousarray(scale_to_height(picture, max(height, tall), wide / tall).copy())
    centre = int(point[0] * marked.shape[1]), int(point[1] * marked.shape[0])
    radius = max(4, marked.shape[0] // 24)
    for colour, width in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        cv2.circle(marked, centre, radius, colour, width, cv2.LINE_AA)
    return marked


def chunked(cells: Sequence[Cell], most: int) -> list[Sequence[Cell]]:
    """Split cells into lines of at most ``most``."""
    return [cells[start : start + most] for start in range(0, max(1, len(cells)), most)]
