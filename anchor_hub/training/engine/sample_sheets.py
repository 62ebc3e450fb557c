"""Pictures of a run: `samples/00012800-<name>.png`, named by the images seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from anchor_hub.images.writing import encode_image, to_pillow
from anchor_hub.system.files import write_file

COLUMNS, PADDING = 8, 2


def save_samples(samples: Mapping[str, Tensor | Sequence[Tensor]], folder: Path, images: int) -> list[Path]:
    """Write each picture: [3, H, W] as it is, [N, 3, H, W] as a grid 8 wide; lists are the rows of one sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets: dict[str, Tensor] = {}
    rows = [list(row) for row in samples.values() if not isinstance(row, Tensor)]
    if rows:
        columns = max(len(row) for row in rows)
        blank = torch.full_like(rows[0][0], 255)
        full = [picture for row in rows for picture in row + [blank] * (columns - len(row))]
        sheets["samples"] = tile(torch.stack(full), columns)
    for name, sample in samples.items():
        if isinstance(sample, Tensor):
            sheets[name] = tile(sample) if sample.ndim == 4 else sample
    return [_write(sheet, folder / f"{images:08d}-{name}.png") for name, sheet in sheets.items()]


def tile(pictures: Tensor, columns: int = COLUMNS, padding: int = PADDING) -> Tensor:
    """One picture [3, H', W'] of many [N, 3, H, W], row by row; small ones enlarged to 256 px (nearest)."""
    scale = max(1, 256 // pictures.shape[-1])
    pictures = pictures.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    count, channels, height, width = pictures.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = torch.full(
        (channels, rows * (height + padding) - padding, columns * (width + padding) - padding),
        255,
        dtype=torch.uint8,
    )
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + padding), index % columns * (width + padding)
        sheet[:, top : top + height, left : left + width] = picture
    return sheet


def _write(picture: Tensor, path: Path) -> Path:
    return write_file(path, encode_image(to_pillow(picture)))  # not write_image: the trainer explains an OSError
