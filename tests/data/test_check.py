from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchor_hub.data.check import check_folder, folder_modality
from anchor_hub.errors import ConfigError, DataError, DomainNotFoundError, UsageError
from tests.data import trees
from tests.images.bad_images import BAD, encoded, picture


def fill(folder: Path, count: int = 120, size: int = 16) -> Path:
    for index in range(count):
        (folder / f"{index:03d}.png").write_bytes(encoded(picture((size, size), seed=index)))
    return folder


def test_a_good_folder_has_no_remarks(tmp_path: Path) -> None:
    report = check_folder(fill(tmp_path), folder_modality(), 16)
    assert (report.files, report.readable, report.bad, report.warnings) == (120, 120, [], [])
    assert report.sizes == {"16x16": 120} and report.classes is None
    json.dumps(report.as_dict())


def test_every_bad_file_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    for name, (content, _) in BAD.items():
        (tmp_path / f"bad-{name}").write_bytes(content)
    report = check_folder(tmp_path, folder_modality(), 16)
    assert report.readable == 120 and len(report.bad) == len(BAD)
    assert {item.path.name for item in report.bad} == {f"bad-{name}" for name in BAD}


def test_what_looks_unintended(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "copy.png").write_bytes((tmp_path / "007.png").read_bytes())
    (tmp_path / "wide.png").write_bytes(encoded(picture((32, 16), seed=900)))
    (tmp_path / "tiny.png").write_bytes(encoded(picture((8, 8), seed=901)))
    (tmp_path / "blank.png").write_bytes(encoded(Image.new("RGB", (16, 16), (9, 8, 7))))
    (tmp_path / "gray.png").write_bytes(encoded(picture((16, 16), "L", seed=902)))
    report = check_folder(tmp_path, folder_modality(), 16)
    assert report.duplicates == [(tmp_path / "copy.png", tmp_path / "007.png")] and not report.bad
    said = "\n".join(report.warnings)
    for name, what in (
        ("copy.png", "pixel for pixel"),
        ("wide.png", "not square"),
        ("tiny.png", "smaller than 16"),
        ("blank.png", "single colour"),
        ("gray.png", "gray among colour"),
    ):
        assert any(what in line and line.endswith(str(tmp_path / name)) for line in report.warnings), (name, said)
    assert report.sizes == {"16x16": 123, "32x16": 1, "8x8": 1}


def test_few_and_gray_files(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(encoded(picture((16, 16), "L", seed=index)))
    said = check_folder(tmp_path, folder_modality(), 16).warnings
    assert any("all pictures are gray" in line for line in said) and any("only 3" in line for line in said)
    assert not any("gray" in line for line in check_folder(tmp_path, folder_modality(None, "gray"), 16).warnings)


def test_label_maps(tmp_path: Path) -> None:
    ids = np.zeros((16, 16), dtype=np.uint8)
    ids[:4] = 2
    Image.fromarray(ids).save(tmp_path / "a.png")
    Image.fromarray(ids + 2).save(tmp_path / "b.png")
    report = check_folder(tmp_path, folder_modality(None, "segmentation", classes=4), 16)
    assert report.classes is not None and list(report.classes.values()) == [0.75, 0, 0.25, 0]
    assert [item.path.name for item in report.bad] == ["b.png"] and "class id 4" in report.bad[0].reason
    assert any(line.startswith("no pixel is of class") for line in report.warnings)


def test_landmarks(tmp_path: Path) -> None:
    inside = [[index / 2, index / 2] for index in range(68)]
    for name, points in (("in", inside), ("out", [[-3, 0], *inside[1:]]), ("few", inside[:5])):
        (tmp_path / f"{name}.json").write_text(json.dumps({"size": [64, 64], "points": points}))
    report = check_folder(tmp_path, folder_modality(None, "landmarks"), 64)
    assert [item.path.name for item in report.bad] == ["few.json"]
    assert any("outside the image" in line and "out.json" in line for line in report.warnings)


def test_options_reach_the_modality(tmp_path: Path) -> None:
    assert folder_modality("seg").input_channels == 19
    assert folder_modality(None, "segmentation", palette="celebamask-hq").input_channels == 19
    merge = tmp_path / "merge.yaml"
    merge.write_text("other: ['*']\nhair: [hair, hat]\n")
    assert folder_modality("seg", merge_classes=merge).input_channels == 2
    with pytest.raises(UsageError, match="for label maps"):
        folder_modality(None, "rgb", classes=3)
    with pytest.raises(DomainNotFoundError, match="'sketch'"):
        folder_modality("sketsch")
    with pytest.raises(ConfigError):
        folder_modality(None, "segmentation")


def test_no_files_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no readable file"):
        check_folder(tmp_path, folder_modality(), 16)


def test_layout_splits_classes_and_modes(tmp_path: Path) -> None:
    root = trees.afhq(tmp_path / "afhq")
    leak = root / "val" / "dog" / "leak.jpg"
    leak.write_bytes((root / "train" / "dog" / "flickr_dog_train000001.jpg").read_bytes())
    trees.save_picture(root / "val" / "wild" / "gray.png", 99, mode="L")
    report = check_folder(root, folder_modality(), 16)
    assert report.layout == "AFHQ" and report.splits == {"train": 6, "val": 8}
    assert report.class_counts == {"cat": 4, "dog": 5, "wild": 5} and report.modes == {"RGB": 13, "L": 1}
    assert report.between_splits == [(leak, root / "train" / "dog" / "flickr_dog_train000001.jpg")]
    assert any("in one split, and in another one" in line and "leak.jpg" in line for line in report.warnings)
    assert {"layout", "splits", "class_counts", "modes", "between_splits", "ignored"} <= set(report.as_dict())
    only = check_folder(root, folder_modality(), 16, where="split == val")
    assert only.splits == {"val": 8} and only.between_splits == []


def test_composed_files_and_archives_have_sizes(tmp_path: Path) -> None:
    folder = trees.celebamask_hq(tmp_path / "faces")
    for source in (folder, trees.packed(folder, tmp_path / "faces.zip")):
        report = check_folder(source, folder_modality(None, "segmentation", palette="celebamask-hq"), 8)
        assert report.layout == "CelebAMask-HQ" and report.sizes == {"16x16": 12} and report.modes == {"L": 12}
        assert report.classes is not None and report.classes["hair"] > 0.1 and not report.bad


def test_files_that_nothing_reads_are_counted(tmp_path: Path) -> None:
    fill(tmp_path)
    for name in ("a.npy", "b.npy", "notes.txt", "README.md", "manifest.csv"):
        (tmp_path / name).write_text("x")
    report = check_folder(tmp_path, folder_modality(), 16)
    assert report.layout == "folder" and report.ignored == ["a.npy", "b.npy", "notes.txt"]
    assert "3 files are not read as rgb: 2 .npy, 1 .txt" in report.warnings
    trees.save_picture(tmp_path / "sub" / "x.png")
    assert check_folder(str(tmp_path / "*.png"), folder_modality(), 16).layout == "files"
