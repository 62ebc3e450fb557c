"""Splits, kinds of files and domains side by side: never mixed into one training set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError
from anchor_hub.modality import build_modality

MODALITIES: dict[str, dict[str, Any]] = {
    "rgb": {"name": "rgb"},
    "gray": {"name": "gray"},
    "segmentation": {"name": "segmentation", "classes": 3},
    "landmarks": {"name": "landmarks", "points": 5},
}


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps({"size": [8, 8], "points": [[1, 2], [3, 4], [5, 6], [2, 2], [4, 4]]}))
    else:
        Image.new("L" if "label" in str(path) or "mask" in str(path) else "RGB", (8, 8), 2).save(path)


def read(folder: Path, modality: str) -> ImageFolder:
    return ImageFolder(folder, build_modality(MODALITIES[modality]), 8)


@pytest.fixture
def lapa(tmp_path: Path) -> Path:
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        for number in range(count):
            for kind, suffix in (("images", ".jpg"), ("labels", ".png"), ("landmarks", ".json")):
                put(tmp_path / split / kind / f"{number}{suffix}")
    return tmp_path


@pytest.mark.parametrize(
    ("modality", "kind"),
    [("rgb", "images"), ("gray", "images"), ("segmentation", "labels"), ("landmarks", "landmarks")],
)
def test_splits_with_kinds_inside(lapa: Path, modality: str, kind: str) -> None:
    data = read(lapa, modality)
    assert len(data) == 4 and {path.parent for path in data.paths} == {lapa / "train" / kind}
    assert not data.class_names
    assert data.found is not None and set(data.found.splits) == {"train", "val", "test"}


@pytest.mark.parametrize("pattern", ["{split}_{kind}", "{kind}_{split}", "{split}-{kind}"])
def test_folders_that_name_both(pattern: str, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for kind in ("img", "label"):
            for number in range(3):
                put(tmp_path / pattern.format(split=split, kind=kind) / f"{number}.png")
    for modality, kind in (("rgb", "img"), ("segmentation", "label")):
        data = read(tmp_path, modality)
        assert {path.parent.name for path in data.paths} == {pattern.format(split="train", kind=kind)}
        assert len(data) == 3
    with pytest.raises(DataError, match="none is for modality 'landmarks'"):
        read(tmp_path, "landmarks")


def test_two_folders_of_one_kind_are_a_question(tmp_path: Path) -> None:
    for folder in ("train_img", "train_images", "train_label"):
        put(tmp_path / folder / "0.png")
    with pytest.raises(DataError, match="are all of split 'train' and of one kind; name one of them"):
        read(tmp_path, "rgb")


def test_domains_side_by_side_are_a_question(tmp_path: Path) -> None:
    for folder in ("trainA", "trainB", "testA", "testB"):
        put(tmp_path / folder / "0.png")
    with pytest.raises(DataError, match=r"holds 2 domains \(A, B\).*name one folder: .*trainA"):
        read(tmp_path, "rgb")
    assert len(read(tmp_path / "trainA", "rgb")) == 1


def test_splits_of_one_kind_are_as_before(tmp_path: Path) -> None:
    for split in ("train", "test"):
        put(tmp_path / split / "cat" / "0.png")
        put(tmp_path / split / "dog" / "0.png")
    assert read(tmp_path, "rgb").class_names == ("cat", "dog")


def test_celebamask_as_its_own_script_merges_it(tmp_path: Path) -> None:
    for number in range(12):
        put(tmp_path / "CelebA-HQ-img" / f"{number}.jpg")
        put(tmp_path / "CelebAMask-HQ-mask" / f"{number}.png")
    data = ImageFolder(tmp_path, build_modality({"name": "segmentation", "classes": 19}), 8)
    assert [path.name for path in data.paths] == [f"{number}.png" for number in range(12)]
    assert {path.parent.name for path in read(tmp_path, "rgb").paths} == {"CelebA-HQ-img"}
