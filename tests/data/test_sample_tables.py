from __future__ import annotations

from pathlib import Path

import pytest

from anchor_hub.data.sample_tables import find_table, read_table
from anchor_hub.errors import DataError


def table(folder: Path, text: str | bytes, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_in_the_folder_before_beside_it(tmp_path: Path) -> None:
    inner = tmp_path / "face"
    inner.mkdir()
    with pytest.raises(DataError, match=r"manifest\.csv"):
        find_table(inner)
    beside = table(tmp_path, "name,a\n", "factors.csv")
    assert find_table(inner) == beside
    own = table(inner, "name,a\n")
    assert find_table(inner) == own


@pytest.mark.parametrize(
    "text", ["name,smile\r\na,1\r\nb,2\r\n", "\ufeffname,smile\na,1\nb,2", 'name,smile\n"a",1\nb.png,2\n']
)
def test_ways_to_write_a_table(tmp_path: Path, text: str) -> None:
    columns, rows = read_table(table(tmp_path, text))
    assert columns == ["name", "smile"]
    assert {key: row["smile"] for key, row in rows.items()} == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'name'"),
        ("smile,hair\n1,2\n", "no column 'name'"),
        ("name,smile\na,1\na,2\n", "'a' twice"),
        ("name,smile\na.png,1\na,2\n", "'a' twice"),
        ("name,smile\na,1,9\n", "row 2"),
        ("name,smile\na\n", "row 2"),
        (b"name,smile\n\xff\xfe,1\n", "UTF-8"),
        ('name,smile\n"a,1\n', "CSV"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
