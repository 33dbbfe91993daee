"""Contact sheets: clips as labelled rows of pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

MARGIN = 92  # pixels, for the labels of the rows
HEADER = 18  # pixels, for the numbers of the frames
GAP = 4  # pixels


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
    first = next(iter(rows.values()))
    count, (tall, wide) = len(first), first[0].shape[:2]
    chosen = [round(column * (count - 1) / max(1, columns - 1)) for column in range(columns)]
    chosen = list(dict.fromkeys(chosen))
    wide, tall = (wide, tall) if width is None else (width, round(tall * width / wide))
    sheet = Image.new("RGB", (MARGIN + len(chosen) * (wide + GAP), HEADER + len(rows) * (tall + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (label, clip) in enumerate(rows.items()):
        top = HEADER + row * (tall + GAP)
        draw.multiline_text((4, top + 4), label.replace(", ", ",\n"), fill="black")
        for column, frame in enumerate(chosen):
            left = MARGIN + column * (wide + GAP)
            picture = Image.fromarray(np.ascontiguousarray(clip[frame]))
            sheet.paste(
                picture if width is None else picture.resize((wide, tall), Image.Resampling.LANCZOS), (left, top)
            )
            if row == 0:
                draw.text((left + 2, 3), f"{unit} {frame}", fill="black")
    return sheet
