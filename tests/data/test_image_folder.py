from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError, ImageError, UsageError
from anchor_hub.modality import build_modality
from tests.images.bad_images import BAD, encoded, picture

RGB = build_modality({"name": "rgb"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hundred 16 px pictures (so that several chunks are read), some of them in a subfolder."""
    for index in range(200):
        path = tmp_path / "set" / ("more" if index % 7 == 0 else "") / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture((16, 16), seed=index)))
    return tmp_path / "set"


def test_order_subfolders_hidden_files_and_links(folder: Path) -> None:
    (folder / ".hidden.png").write_bytes(b"")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "a.png").write_bytes(b"")
    (folder / "notes.txt").write_text("not an image")
    (folder / "again").symlink_to(folder, target_is_directory=True)
    found = ImageFolder(folder, RGB, 16)
    assert len(found) == 200
    assert found.paths == sorted(found.paths) and found.paths[-1].parent.name == "more"
    assert found[3].shape == (3, 16, 16) and torch.equal(found[3], RGB.read(found.paths[3], 16))


def test_everything_in_memory_in_order_whatever_the_threads(folder: Path) -> None:
    found = ImageFolder(folder, RGB, 16)
    loaded = found.load_all(workers=3)
    assert isinstance(loaded, torch.Tensor) and loaded.dtype == torch.uint8 and loaded.shape == (200, 3, 16, 16)
    assert torch.equal(loaded, torch.stack([found[index] for index in range(200)]))
    assert torch.equal(loaded, ImageFolder(folder, RGB, 16).load_all(workers=1))


def test_progress_ends_at_the_total(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    ImageFolder(folder, RGB, 16).load_all(progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (200, 200) and calls == sorted(calls)


def test_files_globs_and_lists(folder: Path) -> None:
    assert len(ImageFolder(folder / "001.png", RGB, 16)) == 1
    assert len(ImageFolder(str(folder / "00*.png"), RGB, 16)) == 8  # 000 and 007 lie in the subfolder
    both = ImageFolder([folder / "010.png", folder / "more"], RGB, 16)
    assert both.paths[0].name == "010.png" and len(both) == 30
    assert len(ImageFolder(folder, RGB, 16, limit=5)) == 5


def test_a_bad_file_among_good_ones_is_named(folder: Path) -> None:
    (folder / "100.png").write_bytes(BAD["truncated.png"][0])
    (folder / "150.png").write_bytes(BAD["page.jpg"][0])
    with pytest.raises(ImageError, match=r"100\.png: is truncated"):
        ImageFolder(folder, RGB, 16).load_all()
    found = ImageFolder(folder, RGB, 16, errors="skip")
    loaded = found.load_all()
    assert len(loaded) == 198 == len(found.paths) == len(found)
    assert [item.path.name for item in found.skipped] == ["100.png", "150.png"]
    assert "HTML" in str(found.skipped[1]) and str(found.skipped[1]).startswith(str(folder / "150.png"))
    assert torch.equal(loaded, torch.stack([found[index] for index in range(198)]))


def test_a_file_that_vanishes_after_listing(folder: Path) -> None:
    found = ImageFolder(folder, RGB, 16, errors="skip")
    (folder / "199.png").unlink()
    found.load_all()
    assert [item.path.name for item in found.skipped] == ["199.png"]


def test_all_bad_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    for name in ("empty.png", "text.png"):
        (tmp_path / name).write_bytes(BAD[name][0])
    with pytest.raises(DataError, match=r"none of 2 files could be read; the first: .*empty\.png"):
        ImageFolder(tmp_path, RGB, 16, errors="skip").load_all()


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    with pytest.raises(DataError, match="holds no readable file"):
        ImageFolder(tmp_path / "faces", RGB, 16)
    with pytest.raises(DataError, match="Did you mean .*faces"):
        ImageFolder(tmp_path / "face", RGB, 16)
    with pytest.raises(DataError, match="no such file or folder"):
        ImageFolder(tmp_path / "none" / "nowhere", RGB, 16)
    with pytest.raises(DataError, match="no file matches"):
        ImageFolder(str(tmp_path / "*.png"), RGB, 16)


def test_the_root_of_a_rendered_set_has_to_name_a_folder(folder: Path) -> None:
    root = folder.parent
    (root / "dataset.yaml").write_text("renderer: anchor_faces\n")
    (root / "seg").mkdir()
    with pytest.raises(DataError, match=r"name one: .*seg \(or set\)"):
        ImageFolder(root, RGB, 16)
    assert len(ImageFolder(folder, RGB, 16)) == 200


def test_where(folder: Path) -> None:
    rows = [f"{index:03d},{index / 200},{'person' if index % 2 else 'cat'}" for index in range(200)]
    (folder.parent / "factors.csv").write_text("\n".join(["name,smile,kind", *rows]))
    found = ImageFolder(folder, RGB, 16, where="smile >= 0.95 and kind == 'cat'")
    assert sorted(path.stem for path in found.paths) == ["190", "192", "194", "196", "198"]
    assert len(ImageFolder(folder, RGB, 16, where="smile >= 0.95", limit=3)) == 3
    with pytest.raises(DataError, match="none of 200 files satisfies"):
        ImageFolder(folder, RGB, 16, where="smile > 2")
    with pytest.raises(UsageError, match="Did you mean 'smile'"):
        ImageFolder(folder, RGB, 16, where="smille > 2")
    (folder / "extra.png").write_bytes(encoded(picture((16, 16))))
    with pytest.raises(DataError, match=r"extra\.png: has no row in .*factors\.csv"):
        ImageFolder(folder, RGB, 16, where="smile > 0")


def test_wrong_calls(folder: Path) -> None:
    wrong: dict[str, Any]
    for wrong in ({"limit": 0}, {"limit": -3}, {"errors": "ignore"}):
        with pytest.raises(UsageError):
            ImageFolder(folder, RGB, 16, **wrong)


def test_too_large_for_memory_stays_on_disk(folder: Path) -> None:
    (folder / "050.png").write_bytes(b"")
    found = ImageFolder(folder, RGB, 16, errors="skip")
    result = found.load_all(max_bytes=1000)
    assert result is found and len(found) == 199 and found[0].shape == (3, 16, 16)


def test_kinds_of_sample_are_not_mixed(tmp_path: Path) -> None:
    points = [[index, index] for index in range(68)]
    (tmp_path / "a.json").write_text(f'{{"size": [64, 64], "points": {points}}}')
    (tmp_path / "b.png").write_bytes(encoded(picture((16, 16), "L")))
    with pytest.raises(ImageError, match=r"b\.png: is a picture.*list of 68 points"):
        ImageFolder(tmp_path, build_modality({"name": "landmarks"}), 16).load_all()


def test_no_threads_are_left_behind(folder: Path) -> None:
    (folder / "000.png").write_bytes(b"")
    with pytest.raises(ImageError):
        ImageFolder(folder, RGB, 16).load_all(workers=2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("anchor-load")]
