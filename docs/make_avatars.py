"""Make the picture of docs/avatars.md: two rows of each style.

    python docs/make_avatars.py     # needs node and the npm packages that `anchor data avatars` asks for
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from anchor_avatars.drawing import draw
from anchor_avatars.styles import STYLES
from anchor_hub.system.home import home

SIDE, GAP, COLUMNS, ROWS = 72, 4, 12, 2


def main() -> None:
    cell = SIDE + GAP
    sheet = Image.new("RGB", (COLUMNS * cell - GAP, len(STYLES) * ROWS * cell - GAP), "white")
    for block, style in enumerate(STYLES.values()):
        for avatar in draw(style, 2, range(COLUMNS * ROWS), 4 * SIDE, home()):
            row, column = divmod(avatar.index, COLUMNS)
            picture = Image.open(io.BytesIO(avatar.png)).convert("RGB").reduce(4)
            sheet.paste(picture, (column * cell, (block * ROWS + row) * cell))
    path = Path(__file__).resolve().parent / "images" / "avatars.png"
    sheet.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path} ({path.stat().st_size / 1000:.0f} KB)")


if __name__ == "__main__":
    main()
