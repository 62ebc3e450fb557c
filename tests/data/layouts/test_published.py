"""CelebAMask-HQ, FFHQ, AFHQ and CUFSF as they are downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import AnchorError, DataError, ImageError, UsageError
from anchor_hub.modality import build_modality
from tests.data import trees

RGB: dict[str, Any] = {"name": "rgb"}
GRAY: dict[str, Any] = {"name": "gray"}
LANDMARKS: dict[str, Any] = {"name": "landmarks"}
FACES: dict[str, Any] = {"name": "segmentation", "palette": "celebamask-hq"}


def read(root: Path, modality: dict[str, Any], size: int = 16, **options: Any) -> ImageFolder:
    return ImageFolder(root, build_modality(modality), size, **options)


def test_celebamask_photographs_in_order_of_their_numbers(tmp_path: Path) -> None:
    images = read(trees.celebamask_hq(tmp_path), RGB)
    assert images.found is not None and images.found.layout == "CelebAMask-HQ"
    assert [path.name for path in images.paths] == [f"{number}.jpg" for number in range(12)]
    assert images.class_names == () and images.labels == []
    assert images.load_all().shape == (12, 3, 16, 16)


def test_celebamask_masks_are_merged_in_the_published_order(tmp_path: Path) -> None:
    images = read(trees.celebamask_hq(tmp_path), FACES)
    maps = images.load_all()
    assert maps.shape == (12, 1, 16, 16) and maps.dtype == torch.uint8
    # skin 1 in rows 4-15, nose 2 in 8-9 above it, hair 13 in 0-5 above both; background 0 elsewhere
    even = [13] * 6 + [1] * 2 + [2] * 2 + [1] * 6
    odd = [0] * 4 + [1] * 4 + [2] * 2 + [1] * 6
    for number in range(12):
        assert maps[number, 0, :, 7].tolist() == (odd if number % 2 else even), number
    assert str(images.paths[3]).endswith("00003.pgm")


def test_celebamask_attributes_and_poses_are_columns(tmp_path: Path) -> None:
    root = trees.celebamask_hq(tmp_path)
    assert [p.name for p in read(root, RGB, where="Smiling and not Wearing_Hat").paths] == [
        "0.jpg", "3.jpg", "6.jpg", "9.jpg"
    ]  # fmt: skip
    masks = read(root, FACES, where="Smiling == 1 and Yaw > 0 and number < 9")
    assert [path.stem for path in masks.paths] == ["00006"]
    with pytest.raises(UsageError, match="Did you mean 'Smiling'"):
        read(root, RGB, where="Smilling")


def test_celebamask_damage_is_named(tmp_path: Path) -> None:
    root = trees.celebamask_hq(tmp_path)
    anno = root / "CelebAMask-HQ-mask-anno"
    (anno / "0" / "00001_nose.png").write_bytes(b"")
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(anno / "0" / "00003_nose.png")
    (anno / "0" / "00003_beak.png").write_bytes(b"x")
    images = read(root, FACES, errors="skip")
    assert len(images.load_all()) == 10
    assert [item.path.stem for item in images.skipped] == ["00001", "00003"]
    assert "00001_nose.png: is empty" in str(images.skipped[0])
    assert "00003_nose.png: is 8x8" in str(images.skipped[1]) and "00003_skin.png is 16x16" in str(images.skipped[1])
    assert images.found is not None and any("no known part" in note for note in images.found.notes)
    with pytest.raises(ImageError, match="is empty"):
        read(root, FACES).load_all()


def test_celebamask_in_parts(tmp_path: Path) -> None:
    root = trees.celebamask_hq(tmp_path)
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text("1\nSmiling\n0.jpg 1 -1\n")
    with pytest.raises(DataError, match="image 1 has 2 values, not 1"):
        read(root, RGB)
    with pytest.raises(DataError, match="landmarks, which are not published"):
        read(root, LANDMARKS)
    for path in (root / "CelebA-HQ-img").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"CelebAMask-HQ, but without its photographs \(CelebA-HQ-img/\)"):
        read(root, RGB)


def test_ffhq_pictures_in_thousands_are_no_classes(tmp_path: Path) -> None:
    images = read(trees.ffhq(tmp_path), RGB)
    assert images.found is not None and images.found.layout == "FFHQ"
    assert [path.parent.parent.name for path in images.paths] == ["images1024x1024"] * 4
    assert images.labels == [] and any("images1024x1024 is read" in note for note in images.found.notes)
    assert len(read(tmp_path, RGB, where="category == training")) == 2
    inner = read(tmp_path / "thumbnails128x128", RGB)
    assert len(inner) == 4 and inner.labels == [] and inner.found is not None and inner.found.layout == "folder"


def test_ffhq_landmarks_come_from_the_table(tmp_path: Path) -> None:
    points = read(trees.ffhq(tmp_path), LANDMARKS)  # of a 32 px image, read at 16
    assert len(points) == 4 and torch.equal(points[2], torch.tensor(trees.POINTS) / 2)
    (tmp_path / "ffhq-dataset-v2.json").write_text('{"0": {"category": "training"}}')
    with pytest.raises(ImageError, match="has no face_landmarks"):
        read(tmp_path, LANDMARKS).load_all()
    (tmp_path / "ffhq-dataset-v2.json").write_text("[1]")
    with pytest.raises(DataError, match="not FFHQ's table"):
        read(tmp_path, RGB)
    (tmp_path / "ffhq-dataset-v2.json").unlink()
    with pytest.raises(DataError, match="without its table with landmarks"):
        read(tmp_path, LANDMARKS)
    with pytest.raises(DataError, match="label maps, which are not published"):
        read(tmp_path, FACES)


def test_afhq_is_read_as_its_training_split(tmp_path: Path) -> None:
    images = read(trees.afhq(tmp_path), RGB)
    assert images.found is not None and images.found.layout == "AFHQ" and images.found.splits == ("train", "val")
    assert images.class_names == ("cat", "dog", "wild") and images.labels == [0, 0, 1, 1, 2, 2]
    assert all("train" in str(path.relative_to(tmp_path)) for path in images.paths)
    cats = read(tmp_path, RGB, where="class == cat and split == val")
    assert len(cats) == 2 and cats.class_names == ("cat",) and cats.labels == [0, 0]
    assert len(read(tmp_path, RGB, where="split == val or split == train")) == 12
    assert len(read(tmp_path / "val" / "dog", RGB)) == 2
    with pytest.raises(DataError, match="landmarks, which is not published"):
        read(tmp_path, LANDMARKS)


def test_labels_follow_the_files_that_are_left(tmp_path: Path) -> None:
    root = trees.afhq(tmp_path)
    (root / "train" / "cat" / "flickr_cat_train000000.jpg").write_bytes(b"")
    images = read(root, RGB, errors="skip")
    images.load_all()
    assert images.labels == [0, 1, 1, 2, 2] and len(images.paths) == 5


def test_cufsf_sketches_and_photographs(tmp_path: Path) -> None:
    sketches = read(trees.cufsf(tmp_path / "a"), GRAY)
    assert sketches.found is not None and sketches.found.layout == "CUFSF"
    assert [path.parent.name for path in sketches.paths] == ["cropped_sketch"] * 3
    assert "sketch" in str(read(tmp_path / "a", RGB).paths[0].parent)
    root = trees.cufsf(tmp_path / "b", photos=True)
    (root / "photo" / "00003.jpg").unlink()
    photos = read(root, RGB)
    assert [path.parent.name for path in photos.paths] == ["photo"] * 2
    assert photos.found is not None and any("00003" in note for note in photos.found.notes)
    assert len(read(root / "original_sketch", GRAY)) == 3
    with pytest.raises(DataError, match="segmentation, which is not published"):
        read(root, FACES)


def test_any_damage_to_a_table_is_an_error_of_ours_or_none(tmp_path: Path) -> None:
    trees.celebamask_hq(tmp_path / "celeba", 2)
    trees.ffhq(tmp_path / "ffhq", 2)
    trees.save_picture(tmp_path / "own" / "a.png")
    table = tmp_path / "own" / "manifest.jsonl"
    table.write_text('{"file": "a.png", "class": "x", "points": [[1, 2], [3.5, 4]], "size": [16, 16]}\n')
    two_points = {"name": "landmarks", "points": 2}
    cases: list[tuple[Path, str, dict[str, Any]]] = [
        (tmp_path / "celeba", "CelebAMask-HQ-attribute-anno.txt", RGB),
        (tmp_path / "ffhq", "ffhq-dataset-v2.json", LANDMARKS),
        (tmp_path / "own", "manifest.jsonl", two_points),
    ]
    generator = np.random.default_rng(0)
    refused = 0
    for folder, name, modality in cases:
        good = (folder / name).read_bytes()
        for _ in range(100):
            data = bytearray(good)
            for _ in range(generator.integers(1, 4)):
                data[generator.integers(len(data))] = generator.choice(list(b'0-1.,:"[]{}\n\r\\ /aNe\xff\x00'))
            (folder / name).write_bytes(bytes(data))
            try:
                read(folder, modality).load_all(workers=1)
            except AnchorError as error:
                refused += 1
                assert str(error).startswith(str(folder))
    assert refused > 100
