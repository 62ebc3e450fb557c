from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_hub.errors import DataError
from anchor_hub.images.grid import contact_sheet, named_sheet, save_png


def tile(value: int, height: int = 4, width: int = 6, channels: int = 3) -> torch.Tensor:
    return torch.full((channels, height, width), value, dtype=torch.uint8)


def test_a_pixel_stays_a_pixel() -> None:
    picture = torch.randint(0, 256, (3, 5, 5), dtype=torch.uint8)
    sheet = np.asarray(contact_sheet([picture], scale=4, pad=2))
    enlarged = picture.repeat_interleave(4, 1).repeat_interleave(4, 2).permute(1, 2, 0).numpy()
    rows, columns = np.nonzero((sheet != 255).any(-1))
    top, left = rows.min(), columns.min()
    assert np.array_equal(sheet[top : top + 20, left : left + 20], enlarged)


def test_layout_of_rows_and_of_flat_tiles() -> None:
    values = [10, 20, 30, 40]
    flat = contact_sheet([tile(value) for value in values], columns=2, scale=2, pad=3)
    rows = contact_sheet([[tile(10), tile(20)], [tile(30), tile(40)]], scale=2, pad=3)
    assert flat.tobytes() == rows.tobytes()
    array = np.asarray(flat)[..., 0]
    # Reading order: the first row above the second.
    assert [int(value) for value in dict.fromkeys(array[array != 255].tolist())] == [10, 20, 30, 40]
    ragged = np.asarray(contact_sheet([[tile(1)], [tile(2), tile(3)]], scale=1))
    assert (ragged == 3).any()


def test_gray_tiles_and_labels() -> None:
    sheet = contact_sheet([[tile(9, channels=1)]], scale=8, labels=["input"], row_labels=["smile"])
    plain = contact_sheet([[tile(9, channels=1)]], scale=8)
    assert sheet.width > plain.width and sheet.height > plain.height
    assert np.asarray(sheet).min() < 255


def test_every_tile_of_a_named_sheet_has_its_name() -> None:
    tiles = [tile(50 * number) for number in range(5)]
    names = ["one", "two", "three", "four", "five"]
    sheet = np.asarray(named_sheet(tiles, names, 3, scale=4))
    first, second = (np.asarray(contact_sheet([part], scale=4, labels=of)) for part, of in (
        (tiles[:3], names[:3]), (tiles[3:], names[3:])
    ))  # fmt: skip
    assert np.array_equal(sheet[: len(first)], first)
    assert np.array_equal(sheet[len(first) :, : second.shape[1]], second) and len(sheet) == len(first) + len(second)
    with pytest.raises(DataError, match="at least one picture"):
        named_sheet([], [], 3)


def test_wrong_tiles() -> None:
    with pytest.raises(DataError, match="at least one"):
        contact_sheet([])
    with pytest.raises(DataError, match="one size"):
        contact_sheet([tile(1), tile(1, height=5)])


def test_png_is_whole_and_the_same_each_time(tmp_path: Path) -> None:
    picture = torch.randint(0, 256, (3, 9, 9), dtype=torch.uint8)
    first, second = save_png(picture, tmp_path / "a.png"), save_png(picture, tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    assert np.array_equal(np.asarray(Image.open(first)), picture.permute(1, 2, 0).numpy())
    save_png(contact_sheet([picture]), tmp_path / "a.png")  # replaces
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    for path in (tmp_path / "a.jpg", tmp_path / "none" / "a.png"):
        with pytest.raises(DataError, match=str(path)):
            save_png(picture, path)
    with pytest.raises(DataError, match="uint8"):
        save_png(picture.float(), tmp_path / "c.png")
