"""Class folders, paired folders, manifests, archives, and what is none of them."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.data.layouts import supported_layouts
from anchor_hub.errors import AnchorError, DataError, ImageError
from anchor_hub.modality import build_modality
from tests.data import trees
from tests.images.bad_images import encoded, picture

RGB: dict[str, Any] = {"name": "rgb"}
LANDMARKS: dict[str, Any] = {"name": "landmarks"}
MASKS: dict[str, Any] = {"name": "segmentation", "classes": 2}


def read(root: Path, modality: dict[str, Any] = RGB, size: int = 16, **options: Any) -> ImageFolder:
    return ImageFolder(root, build_modality(modality), size, **options)


def layout(images: ImageFolder) -> str:
    assert images.found is not None
    return images.found.layout


def test_class_folders(tmp_path: Path) -> None:
    images = read(trees.class_folders(tmp_path / "a", ("10", "9", "dog")))
    assert layout(images) == "class folders" and images.class_names == ("dog", "9", "10")
    assert sorted(images.labels) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [images.class_names[label] for label in images.labels] == [path.parent.name for path in images.paths]
    one = read(trees.class_folders(tmp_path / "b", ("only",)))
    assert one.class_names == () and one.labels == []
    trees.save_picture(tmp_path / "a" / "outside.png")
    assert read(tmp_path / "a").class_names == ()


def test_class_folders_of_splits_with_masks_beside_them(tmp_path: Path) -> None:
    for split in ("train", "val"):
        trees.class_folders(tmp_path / split)
        for name in ("n01440764", "n02123045"):
            for number in range(3):
                trees.save_mask(tmp_path / "masks" / split / name / f"{name}_{number}.png", slice(0, 8))
    images, masks = read(tmp_path), read(tmp_path, MASKS)
    assert [path.stem for path in images.paths] == [path.stem for path in masks.paths] and len(masks) == 6
    assert images.labels == masks.labels == [0, 0, 0, 1, 1, 1]
    assert masks[0][0, :, 0].tolist() == [1] * 8 + [0] * 8  # 0 and 255 of two classes
    assert len(read(tmp_path, where="split == val")) == 6


def test_paired_folders(tmp_path: Path) -> None:
    trees.class_folders(tmp_path / "photo", ("0", "1"))
    for name in ("0", "1"):
        trees.save_mask(tmp_path / "mask" / name / f"{name}_0.png", slice(0, 8))
    assert layout(read(tmp_path)) == "paired folders" and len(read(tmp_path)) == 6
    masks = read(tmp_path, MASKS)
    assert masks.labels == [0, 1] and [path.parent.parent.name for path in masks.paths] == ["mask"] * 2
    assert masks.found is not None and "4 of 6 in photo/ have no partner in mask/, e.g. 0/0_1" in "\n".join(
        note.replace("have no partner in photo/", "") for note in read(tmp_path).found.notes  # type: ignore[union-attr]
    )
    with pytest.raises(DataError, match=r"photo.*mask.*none is for modality 'landmarks'"):
        read(tmp_path, LANDMARKS)


def test_points_beside_their_pictures(tmp_path: Path) -> None:
    for number in range(3):
        trees.save_picture(tmp_path / f"indoor_{number}.png", number, size=32)
        body = "".join(f"{x + 0.5} {y + 0.5}\n" for x, y in trees.POINTS)
        (tmp_path / f"indoor_{number}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{body}}}\n")
    points = read(tmp_path, LANDMARKS)
    assert [path.suffix for path in points.paths] == [".pts"] * 3
    assert torch.equal(points[0], torch.tensor(trees.POINTS) / 2)  # the picture is 32 px, read at 16
    assert len(read(tmp_path)) == 3


def test_manifest(tmp_path: Path) -> None:
    for number in range(4):
        trees.save_picture(tmp_path / "photos" / f"{number}.png", number)
        trees.save_mask(tmp_path / "other" / f"m{number}.png", slice(0, number))
    kinds, splits = ("dog", "cat"), ("train", "train", "train", "val")
    rows = [f"photos/{n}.png,{kinds[n % 2]},{splits[n]},other/m{n}.png,{n}" for n in range(4)]
    (tmp_path / "manifest.csv").write_text("\n".join(["file_name,class,split,mask,smile", *rows[:1], *rows[2:]]) + "\n")
    images = read(tmp_path)
    assert layout(images) == "manifest" and [path.name for path in images.paths] == ["0.png", "2.png"]
    assert images.class_names == ("dog",) and images.found is not None
    assert any("no row in manifest.csv" in note for note in images.found.notes)
    assert [p.name for p in read(tmp_path, where="smile > 1 and split != test").paths] == ["2.png", "3.png"]
    masks = read(tmp_path, MASKS, where="split == val")
    assert [path.name for path in masks.paths] == ["m3.png"] and masks[0][0, :, 0].sum() == 3


def test_manifest_of_points(tmp_path: Path) -> None:
    trees.save_picture(tmp_path / "a.png", size=32)
    cells = ",".join(f"{x},{y}" for x, y in trees.POINTS)
    names = ",".join(f"x{number},y{number}" for number in range(68))
    (tmp_path / "landmarks.csv").write_text(f"image_id,{names}\na.png,{cells}\n")
    assert torch.equal(read(tmp_path, LANDMARKS)[0], torch.tensor(trees.POINTS) / 2)
    (tmp_path / "landmarks.csv").unlink()
    line = {"file_name": "a.png", "points": trees.POINTS, "size": [64, 64], "class": "x"}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line) + "\n\n")
    assert torch.equal(read(tmp_path, LANDMARKS)[0], torch.tensor(trees.POINTS) / 4)
    line["points"] = [["a", 1]]
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line))
    with pytest.raises(ImageError, match=r"a\.json"):
        read(tmp_path, LANDMARKS).load_all()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("manifest.jsonl", '{"file": "a.png"', "line 1 is no JSON"),
        ("manifest.jsonl", '["a.png"]', "line 1 is no JSON object"),
        ("manifest.jsonl", "[" * 100_000, "line 1 is no JSON"),
        ("manifest.jsonl", '{"file": "a.png"}\n{"file": "a.png"}', "rows 1 and 2 name 'a.png'"),
        ("manifest.jsonl", '{"file": "a.png"}\n{"file": "../../etc/passwd"}', "outside of the folder"),
        ("manifest.jsonl", '{"file": "a.png"}\n{"file": "/etc/passwd"}', "outside of the folder"),
        ("manifest.jsonl", '{"file": "a.png"}\n{"file": "C:\\\\a.png"}', "outside of the folder"),
        ("manifest.jsonl", '{"file": "a.png"}\n{"file": 3}', "row 2 names no file"),
        ("manifest.csv", "file,class\na.png,1,2\n", "row 2 does not have 2 cells"),
        ("manifest.csv", "file,class\na.png\n", "row 2 does not have 2 cells"),
        ("dataset.json", '{"labels": [["a.png", "cat"]]}', "label 0 is"),
        ("dataset.json", '{"labels": [["b.png", 1]]}', "labels 1 pictures that are not there, e.g. b.png"),
        ("dataset.json", "{", "is no JSON"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    trees.save_picture(tmp_path / "a.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_a_table_about_other_files_lists_nothing(tmp_path: Path) -> None:
    trees.save_picture(tmp_path / "face" / "0.png")
    trees.save_picture(tmp_path / "more" / "1.png")
    (tmp_path / "points.json").write_text(json.dumps({"size": [16, 16], "points": trees.POINTS}))
    (tmp_path / "manifest.csv").write_text("name,smile\n7,1\n8,0\n")
    assert layout(read(tmp_path)) == "class folders" and len(read(tmp_path)) == 2
    assert [path.name for path in read(tmp_path / "points.json", LANDMARKS).paths] == ["points.json"]
    (tmp_path / "manifest.csv").write_text("name,class\nface/0,a\nmore/1,\n")
    images = read(tmp_path)
    assert layout(images) == "manifest" and images.labels == [] and images.found is not None
    assert any("1 of 2 rows name no class" in note for note in images.found.notes)


def test_a_row_without_its_file(tmp_path: Path) -> None:
    trees.save_picture(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("file\na.png\nb.png\n")
    with pytest.raises(ImageError, match=r"b\.png: does not exist"):
        read(tmp_path).load_all()
    assert len(read(tmp_path, errors="skip").load_all()) == 1


def test_labels_of_a_packed_data_set(tmp_path: Path) -> None:
    for number in range(4):
        trees.save_picture(tmp_path / "in" / "00000" / f"img{number:08d}.png", number)
    labels = [[f"00000/img{number:08d}.png", 2 * (number % 2)] for number in range(4)]
    (tmp_path / "in" / "dataset.json").write_text(json.dumps({"labels": labels}))
    images = read(trees.packed(tmp_path / "in", tmp_path / "set.zip"))
    assert layout(images) == "dataset.json" and images.class_names == ("0", "2") and images.labels == [0, 1, 0, 1]
    assert images.load_all().shape == (4, 3, 16, 16)


@pytest.mark.parametrize("stored", [True, False])
def test_archives_read_as_the_folder_in_them(tmp_path: Path, stored: bool) -> None:
    folder = trees.celebamask_hq(tmp_path / "folder")
    archive = trees.packed(folder, tmp_path / "faces.zip", stored=stored, inside="CelebAMask-HQ/")
    before = sorted(tmp_path.iterdir())
    for modality in (RGB, {"name": "segmentation", "palette": "celebamask-hq"}):
        inside, outside = read(archive, modality), read(folder, modality)
        assert layout(inside) == "CelebAMask-HQ"
        assert torch.equal(inside.load_all(workers=3), outside.load_all())
    assert len(read(archive, where="Smiling")) == 4
    assert sorted(tmp_path.iterdir()) == before  # nothing is unpacked


def test_other_layouts_in_archives(tmp_path: Path) -> None:
    images = read(trees.packed(trees.afhq(tmp_path / "a"), tmp_path / "a.zip", inside="afhq/"), where="class == dog")
    assert layout(images) == "AFHQ" and len(images) == 2
    points = read(trees.packed(trees.ffhq(tmp_path / "f"), tmp_path / "f.zip"), LANDMARKS)
    assert torch.equal(points[0], torch.tensor(trees.POINTS) / 2)


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as stream:
        for name, data in members.items():
            stream.writestr(name, data)
    return path


PNG = encoded(picture((16, 16)))


@pytest.mark.parametrize(
    ("members", "method", "message"),
    [
        ({"../a.png": PNG}, zipfile.ZIP_STORED, "leaves the archive"),
        ({"/a.png": PNG}, zipfile.ZIP_STORED, "leaves the archive"),
        ({"C:/a.png": PNG}, zipfile.ZIP_STORED, "leaves the archive"),
        ({"a.png": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED, "expands [0-9,]+-fold"),
        ({"a.png": PNG}, zipfile.ZIP_BZIP2, "packed by method 12"),
        ({"a.txt": b"hello"}, zipfile.ZIP_STORED, "holds no readable file.*found 1 .txt.*Supported are CelebAMask-HQ"),
    ],
)
def test_refused_archives(tmp_path: Path, members: dict[str, bytes], method: int, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(_zip(tmp_path / "x.zip", members, method))
    assert str(caught.value).startswith(str(tmp_path / "x.zip"))


def test_a_member_longer_than_it_says_is_refused_when_read(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {"a.png": PNG, "b.png": PNG})
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (100).to_bytes(4, "little")  # the size in the directory
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match=r"x\.zip/a\.png: "):
        read(path).load_all()


def test_twice_the_same_name_and_encrypted_members(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as stream, pytest.warns(UserWarning):
        stream.writestr("a.png", PNG)
        stream.writestr("a.png", PNG)
    with pytest.raises(DataError, match=r"'a\.png' twice"):
        read(path)
    data = bytearray(_zip(path, {"a.png": PNG}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="encrypted"):
        read(path)


def test_any_damage_to_an_archive_is_an_error_of_ours_or_none(tmp_path: Path) -> None:
    good = _zip(tmp_path / "good.zip", {"a/1.png": PNG, "b/1.png": PNG}, zipfile.ZIP_DEFLATED).read_bytes()
    generator = torch.Generator().manual_seed(0)
    path = tmp_path / "x.zip"
    for _ in range(300):
        data = bytearray(good)
        for _ in range(int(torch.randint(1, 4, (1,), generator=generator))):
            data[int(torch.randint(4, len(data), (1,), generator=generator))] = int(
                torch.randint(0, 256, (1,), generator=generator)
            )
        if torch.rand(1, generator=generator) < 0.2:
            del data[int(torch.randint(4, len(data), (1,), generator=generator)) :]
        path.write_bytes(bytes(data))
        try:
            read(path).load_all(workers=1)
        except AnchorError as error:
            assert str(error).startswith(str(path))


def test_what_is_no_data_set_says_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.npy").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    text = str(caught.value)
    for part in ("holds no readable file", "1 .npy", "1 .txt", "folders sub", "AFHQ", "FFHQ", "CUFSF", "zip"):
        assert part in text


def test_data_sets_travel_to_other_processes(tmp_path: Path) -> None:
    archive = trees.packed(trees.celebamask_hq(tmp_path / "a"), tmp_path / "a.zip")
    masks = read(archive, {"name": "segmentation", "palette": "celebamask-hq"})
    line = {"file_name": "a.png", "points": trees.POINTS, "size": [64, 64]}
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "metadata.jsonl").write_text(json.dumps(line))
    for images in (masks, read(tmp_path / "b", LANDMARKS), read(trees.ffhq(tmp_path / "c"), LANDMARKS)):
        sent = pickle.loads(pickle.dumps(images))
        assert torch.equal(sent[0], images[0]) and sent.paths == images.paths


def test_tables_among_points_are_no_points(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.json").write_text(json.dumps({"size": [16, 16], "points": trees.POINTS}))
    (tmp_path / "factors.csv").write_text("name,smile\n0,1\n1,0\n")
    assert [path.name for path in read(tmp_path, LANDMARKS).paths] == ["0.json", "1.json"]
    assert [path.name for path in read(tmp_path, LANDMARKS, where="smile > 0").paths] == ["0.json"]


def test_the_page_has_every_layout() -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    for name, _ in supported_layouts():
        assert f"\n| {name} | " in page, name
