"""Contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.images.writing import write_image

WHITE, INK = (255, 255, 255), (40, 40, 40)


def contact_sheet(
    tiles: Sequence[Tensor] | Sequence[Sequence[Tensor]] | Tensor,
    columns: int | None = None,
    *,
    scale: int = 4,
    pad: int = 4,
    labels: Sequence[str] | None = None,
    row_labels: Sequence[str] | None = None,
) -> Image.Image:
    """One picture of many, on white.

    :param tiles: uint8 ``[3, H, W]`` (or ``[1, H, W]``), all of one size, row by row; or a list of rows,
        which may differ in length.
    :param columns: tiles per row, where ``tiles`` is flat.
    :param scale: each pixel becomes a square of this side.
    :param pad: white pixels between tiles (after scaling).
    :param labels: a heading per column. ``row_labels``: a word before each row.
    :raises DataError: no tiles, or tiles of different sizes.
    """
    rows = _rows(tiles, columns)
    if not rows or not rows[0]:
        raise DataError("a contact sheet needs at least one picture")
    height, width = rows[0][0].shape[-2:]
    for tile in (tile for row in rows for tile in row):
        if tuple(tile.shape[-2:]) != (height, width):
            raise DataError(
                f"a contact sheet needs pictures of one size: {tuple(tile.shape)} beside {height}x{width}"
            )
    height, width, count = height * scale, width * scale, max(len(row) for row in rows)
    font = ImageFont.load_default(size=max(10, min(20, width // 9)))
    left = pad if row_labels is None else pad * 2 + max(int(font.getlength(text)) + 1 for text in row_labels)
    top = pad if labels is None else pad * 2 + sum(font.getmetrics())  # type: ignore[union-attr, arg-type]
    sheet = Image.new("RGB", (left + count * (width + pad), top + len(rows) * (height + pad)), WHITE)
    draw = ImageDraw.Draw(sheet)
    for column, text in enumerate(labels or ()):
        centre = left + column * (width + pad) + width // 2
        draw.text((centre, pad), _fitting(text, font, width), fill=INK, font=font, anchor="ma")
    for number, row in enumerate(rows):
        y = top + number * (height + pad)
        if row_labels is not None and number < len(row_labels):
            draw.text((pad, y + height // 2), row_labels[number], fill=INK, font=font, anchor="lm")
        for column, tile in enumerate(row):
            picture = tile.detach().cpu().expand(3, -1, -1).permute(1, 2, 0).contiguous()
            enlarged = Image.fromarray(picture.numpy()).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (left + column * (width + pad), y))
    return sheet


def named_sheet(tiles: Sequence[Tensor], names: Sequence[str], columns: int, *, scale: int = 4) -> Image.Image:
    """One picture of many in rows of ``columns``, each tile under its own name; arguments as :func:`contact_sheet`'s.

    :raises DataError: no tiles, or tiles of different sizes.
    """
    starts = range(0, len(tiles), columns)
    rows = [
        contact_sheet([list(tiles[at : at + columns])], scale=scale, labels=names[at : at + columns]) for at in starts
    ]
    if not rows:
        raise DataError("a contact sheet needs at least one picture")
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), WHITE)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def sheet_scale(size: int) -> int:
    """The factor by which a contact sheet enlarges pictures of that size: to about 256 px, at least 4 up to 128 px."""
    return max(256 // size, 4 if size <= 128 else 1)


def _rows(
    tiles: Sequence[Tensor] | Sequence[Sequence[Tensor]] | Tensor, columns: int | None
) -> list[list[Tensor]]:
    given = list(tiles)
    if given and not isinstance(given[0], Tensor):
        return [list(row) for row in given]
    flat: list[Tensor] = [tile for tile in given if isinstance(tile, Tensor)]
    step = max(1, columns or min(8, len(flat)))
    return [flat[start : start + step] for start in range(0, len(flat), step)]


def _fitting(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-1]
    return text


def save_png(image: Image.Image | Tensor, path: str | Path) -> Path:
    """Write a picture (or uint8 ``[3, H, W]``) as PNG in one step; the same picture gives the same bytes."""
    path = Path(path)
    if isinstance(image, Tensor) and image.dtype != torch.uint8:
        raise DataError(f"{path}: pictures are written from uint8, not {image.dtype}")
    if path.suffix.lower() != ".png":
        raise DataError(f"{path}: is written as PNG; give it a name ending in .png")
    return write_image(image, path)
