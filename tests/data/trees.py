"""Small data sets in published layouts, made where a test asks for them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.images.bad_images import encoded, picture

POINTS = [[4 + index % 8, 4 + index // 8] for index in range(68)]


def save_picture(path: Path, seed: int = 0, size: int = 16, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture((size, size), mode, seed=seed)))
    return path


def save_mask(path: Path, rows: slice, size: int = 16) -> Path:
    """A mask of 0, and 255 in some rows, as published masks are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[rows] = 255
    Image.fromarray(mask).save(path)
    return path


def celebamask_hq(root: Path, faces: int = 12) -> Path:
    """Photographs, part masks, attributes and poses; only even faces have hair."""
    for number in range(faces):
        save_picture(root / "CelebA-HQ-img" / f"{number}.jpg", number)
        inner = root / "CelebAMask-HQ-mask-anno" / str(number // 5)
        save_mask(inner / f"{number:05d}_skin.png", slice(4, 16))
        save_mask(inner / f"{number:05d}_nose.png", slice(8, 10))
        if number % 2 == 0:
            save_mask(inner / f"{number:05d}_hair.png", slice(0, 6))
    attributes = [f"{number}.jpg {'1' if number % 3 == 0 else '-1'} -1" for number in range(faces)]
    text = "\n".join([str(faces), "Smiling Wearing_Hat", *attributes])
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text(text + "\n")
    poses = [f"{number}.jpg {number - 6}.5 0.1 -0.2" for number in range(faces)]
    (root / "CelebAMask-HQ-pose-anno.txt").write_text("\n".join([str(faces), "Yaw Pitch Raw", *poses]) + "\n")
    return root


def ffhq(root: Path, faces: int = 4) -> Path:
    """Two sizes of pictures in thousands, and the table with landmarks."""
    table = {}
    for number in range(faces):
        number *= 600  # several thousands
        inner = f"{number // 1000 * 1000:05d}/{number:05d}.png"
        save_picture(root / "images1024x1024" / inner, number, size=32)
        save_picture(root / "thumbnails128x128" / inner, number, size=16)
        table[str(number)] = {
            "category": "training" if number < 1000 else "validation",
            "metadata": {"country": "", "license": "Public Domain Mark 1.0", "author": "a"},
            "image": {"pixel_size": [32, 32], "face_landmarks": POINTS},
        }
    (root / "ffhq-dataset-v2.json").write_text(json.dumps(table))
    return root


def afhq(root: Path, each: int = 2) -> Path:
    """Six pictures for training, six for validation."""
    seed = 0
    for split in ("train", "val"):
        for name in ("cat", "dog", "wild"):
            for number in range(each):
                seed += 1
                save_picture(root / split / name / f"flickr_{name}_{split}{number:06d}.jpg", seed)
    return root


def cufsf(root: Path, faces: int = 3, photos: bool = False) -> Path:
    """Sketches, cropped and not, with three points each."""
    for number in range(1, faces + 1):
        save_picture(root / "original_sketch" / f"{number:05d}.jpg", number, mode="L")
        save_picture(root / "cropped_sketch" / "cropped_sketch" / f"{number:05d}.jpg", number + 50, mode="L")
        points = root / "sketch_points" / f"{number:05d}.3pts"
        points.parent.mkdir(parents=True, exist_ok=True)
        points.write_text("5 5\n10 5\n7 11\n")
        if photos:
            save_picture(root / "photo" / f"{number:05d}.jpg", number + 90)
    return root


def class_folders(root: Path, classes: tuple[str, ...] = ("n01440764", "n02123045"), each: int = 3) -> Path:
    """ImageNet's way: a folder per class."""
    for index, name in enumerate(classes):
        for number in range(each):
            save_picture(root / name / f"{name}_{number}.JPEG", index * 100 + number)
    return root


def packed(folder: Path, archive: Path, *, stored: bool = True, inside: str = "") -> Path:
    """A folder as a zip archive, perhaps in a folder in it."""
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w", method) as stream:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                stream.write(path, f"{inside}{path.relative_to(folder).as_posix()}")
    return archive
