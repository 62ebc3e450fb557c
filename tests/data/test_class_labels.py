"""Classes from a column of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_hub.data.class_labels import column_labels
from anchor_hub.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = ["name,sign,hand"] + [f"{index:02d}.png,{10 - index},left" for index in range(4)]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_classes_are_sorted_by_value(folder: Path) -> None:
    paths = [folder / f"{index:02d}.png" for index in range(4)]
    classes, labels = column_labels(paths, folder, "sign")
    assert classes == ("7", "8", "9", "10") and labels.tolist() == [3, 2, 1, 0]
    assert column_labels(paths[::-1], folder / "*.png", "sign")[1].tolist() == [0, 1, 2, 3]


def test_what_is_missing_is_told(folder: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'sign'"):
        column_labels([folder / "00.png"], folder, "sing")
    with pytest.raises(DataError, match="07.png.*has no class"):
        column_labels([folder / "07.png"], folder, "sign")
    with pytest.raises(DataError, match="several classes"):
        column_labels([folder / "00.png", folder / "01.png"], folder, "hand")
