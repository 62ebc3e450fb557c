"""Tables and archives as tools save them: semicolons, tabs, decimal commas, umlauts in two forms, backslashes, null."""

from __future__ import annotations

import json
import unicodedata
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.data.sample_tables import read_table
from anchor_hub.errors import DataError, ImageError
from anchor_hub.evaluation.data import pair_data
from anchor_hub.modality import build_modality
from anchor_hub.modality.landmarks import Landmarks
from anchor_hub.system.tables import read_cells, read_rows

RGB = build_modality({"name": "rgb"})


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_tables_beside_pictures(delimiter: str, form: str, tmp_path: Path) -> None:
    for name in ("Änne", "Müller", "b"):
        picture(tmp_path / f"{unicodedata.normalize(form, name)}.png")
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    rows = [["name", "smile"], ["Müller.png", "0.0"], ["Änne.png", "0.1"], ["b.png", "0.2"]]
    text = "\n".join(delimiter.join(row) for row in rows) + "\n"
    (tmp_path / "manifest.csv").write_text(unicodedata.normalize(other, text), "utf-8")
    assert len(ImageFolder(tmp_path, RGB, 8, where="smile > 0.05")) == 2


def test_excels_tables() -> None:
    assert read_rows('sep=;\r\nname;smile\r\na;0,5\r\n"b;c";1\r\n') == (
        ["name", "smile"], [{"name": "a", "smile": "0.5"}, {"name": "b;c", "smile": "1"}],
    )  # fmt: skip
    assert read_rows("name,pair\na,'0;5;6;7'\n")[1] == [{"name": "a", "pair": "'0;5;6;7'"}]
    assert read_rows("name\na\n") == (["name"], [{"name": "a"}])


def test_decimal_commas_in_a_table_without_names() -> None:
    assert read_cells("1,5;2,5\n3;4,25\n") == [["1.5", "2.5"], ["3", "4.25"]]
    assert read_cells("1,5\n2,6\n") == [["1", "5"], ["2", "6"]]


@pytest.mark.parametrize("first", ['sep="', "sep=\r", "sep=a"])
def test_a_delimiter_that_is_none_is_a_row(first: str) -> None:
    assert read_cells(f"{first}\nname,smile\n")[-1] == ["name", "smile"]


def test_a_short_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("name;a\nx\n")
    with pytest.raises(DataError, match="row 2 does not have 2 cells"):
        read_table(tmp_path / "manifest.csv")


def test_pairs_in_two_forms(tmp_path: Path) -> None:
    picture(tmp_path / "a" / unicodedata.normalize("NFD", "Änne.png"))
    picture(tmp_path / "b" / unicodedata.normalize("NFC", "Änne.png"))
    assert pair_data(tmp_path, ("a", RGB), ("b", RGB)).paired


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "x.png").rename(tmp_path / "a" / "x\udcff.png")
    with pytest.raises(DataError, match="is not UTF-8, so no report can hold it; rename it"):
        pair_data(tmp_path, ("a", RGB), ("a", RGB))


def archive(path: Path, table: object, separator: str = "/") -> Path:
    source = picture(path.parent / "one.png").read_bytes()
    with zipfile.ZipFile(path, "w") as target:
        for name in ("00000/a.png", "00001/b.png"):
            member = zipfile.ZipInfo("x")
            member.filename = name.replace("/", separator)
            target.writestr(member, source)
        target.writestr("dataset.json", json.dumps(table))
    return path


@pytest.mark.parametrize("labels", [None, []])
def test_null_is_no_classes(labels: object, tmp_path: Path) -> None:
    data = ImageFolder(archive(tmp_path / "a.zip", {"labels": labels}), RGB, 8)
    assert len(data) == 2 and not data.class_names


def test_two_labels_of_one_picture(tmp_path: Path) -> None:
    labels = [["00000/a.png", 0], ["00001/b.png", 1], ["00000/a.png", 1]]
    with pytest.raises(DataError, match=r"labels '00000/a.png' twice \(0 and 1\)"):
        ImageFolder(archive(tmp_path / "a.zip", {"labels": labels}), RGB, 8)


def test_backslashes(tmp_path: Path) -> None:
    labels = [["00000\\a.png", 0], ["00001\\b.png", 1]]
    data = ImageFolder(archive(tmp_path / "a.zip", {"labels": labels}, "\\"), RGB, 8)
    assert len(data) == 2 and data.class_names == ("0", "1")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as target:
        member = zipfile.ZipInfo("x")
        member.filename = "..\\a.png"
        target.writestr(member, picture(tmp_path / "one.png").read_bytes())
    with pytest.raises(DataError, match="leaves the archive"):
        ImageFolder(tmp_path / "b.zip", RGB, 8)


POINTS = [[10.0 + i, 20.0 + 2 * i] for i in range(5)]


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([[x / 64, y / 64] for x, y in POINTS], "are shares of the image"),
        ([[x / 32 - 1, y / 32 - 1] for x, y in POINTS], "are shares of the image"),
        ([*POINTS[:4], [-1, -1]], "1 points are \\(-1, -1\\), the first is point 4"),
        ([[0, 0], *POINTS[:3], [0, 0]], "2 points are \\(0, 0\\), the first is point 0"),
        ([*POINTS[:4], [None, None]], "null is no coordinate"),
        ([*POINTS[:4], [10**400, 1]], "is no list of points"),
    ],
)
@pytest.mark.parametrize("size", [None, [64, 64]])
def test_landmarks_that_are_no_pixels(points: object, reason: str, size: object, tmp_path: Path) -> None:
    table = {"points": points, **({"size": size} if size else {})}
    (tmp_path / "a.json").write_text(json.dumps(table))
    with pytest.raises(ImageError, match=reason):
        Landmarks(5).read(tmp_path / "a.json", 64)


def test_shares_with_a_size_of_one_are_read(tmp_path: Path) -> None:
    shares = [[x / 64, y / 64] for x, y in POINTS]
    (tmp_path / "a.json").write_text(json.dumps({"size": [1, 1], "points": shares}))
    (tmp_path / "b.json").write_text(json.dumps({"size": [64, 64], "points": POINTS}))
    read = [Landmarks(5).read(tmp_path / f"{name}.json", 64) for name in "ab"]
    assert read[0].sub(read[1]).abs().max() < 1e-4


def test_points_with_semicolons(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;y\n" + "".join(f"{x:.1f};{y:.1f}\n".replace(".", ",") for x, y in POINTS))
    assert Landmarks(5).read(tmp_path / "a.csv", 64).tolist() == POINTS
