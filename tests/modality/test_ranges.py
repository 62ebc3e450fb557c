"""Pictures of more than 8 bits: 12 bits in 16, sensors, and what a call says is black and white."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchor_hub.data.check import check_folder
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import ConfigError, ImageError, UsageError
from anchor_hub.modality import build_modality
from anchor_hub.modality.options import modality_table


def save(path: Path, low: float, high: float, dtype: type = np.uint16) -> Path:
    Image.fromarray(np.linspace(low, high, 64).reshape(8, 8).astype(dtype)).save(path)
    return path


@pytest.mark.parametrize("name", ["rgb", "gray"])
@pytest.mark.parametrize(("high", "white"), [(4095, 255), (4093, 255), (2048, 128), (65535, 255), (32768, 128)])
def test_twelve_and_sixteen_bits(name: str, high: int, white: int, tmp_path: Path) -> None:
    sample = build_modality({"name": name}).read(save(tmp_path / "a.png", 0, high), 8)
    assert (int(sample.min()), int(sample.max())) == (0, white)


def test_the_range_of_a_call(tmp_path: Path) -> None:
    modality = build_modality(modality_table({"name": "gray"}, span="800:902"))
    assert modality.options() == {"range": [800, 902]}
    sample = modality.read(save(tmp_path / "a.png", 800, 902), 8)
    assert (int(sample.min()), int(sample.max())) == (0, 255)
    beyond = modality.read(save(tmp_path / "b.png", 0, 2000), 8)
    assert (int(beyond.min()), int(beyond.max())) == (0, 255)
    eight = modality.read(save(tmp_path / "c.png", 0, 90, np.uint8), 8)
    assert int(eight.max()) == 90


def test_values_without_a_meaning_name_the_way_out(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", -1000, 3000, np.int32)
    with pytest.raises(ImageError, match="--range LOW:HIGH"):
        build_modality({"name": "gray"}).read(path, 8)
    sample = build_modality({"name": "gray", "range": [-1000, 3000]}).read(path, 8)
    assert (int(sample.min()), int(sample.max())) == (0, 255)


def test_data_check_says_the_range(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", 800 + number, 902)
    report = check_folder(tmp_path, build_modality({"name": "gray"}), 8)
    said = "3 files have more than 8 bits, values 800 to 902; 0 is black, 4095 white"
    assert f"{said} (--range 800:902 would use all shades)" in report.warnings


def big_endian_tiff(path: Path) -> None:
    """8x8, 16 bits, values 0 to 25200, bytes in the order that Pillow calls I;16B."""
    pixels = (np.arange(64) * 400).astype(">u2").tobytes()
    tags = [(256, 8), (257, 8), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 8), (279, len(pixels))]
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack(">H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"MM\0*" + struct.pack(">I", 8 + len(pixels)) + pixels + directory)


def test_data_check_reads_both_orders_of_bytes(tmp_path: Path) -> None:
    big_endian_tiff(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as image:
        assert image.mode == "I;16B"
    (said,) = (item for item in check_folder(tmp_path, build_modality({"name": "gray"}), 8).warnings if "bits" in item)
    assert "values 0 to 25200; 0 is black, 65535 white (--range 0:25200" in said


def test_data_check_says_what_was_white_in_each_file(tmp_path: Path) -> None:
    save(tmp_path / "float.tif", 0, 0.5, np.float32)
    gray = build_modality({"name": "gray"})
    assert any("0 is black, 1 white" in item for item in check_folder(tmp_path, gray, 8).warnings)
    save(tmp_path / "dark.png", 0, 4000)
    save(tmp_path / "bright.png", 0, 60000)
    warnings = check_folder(tmp_path, gray, 8).warnings
    assert any("0 is black, 1 or 4095 or 65535 white, which differs between files" in item for item in warnings)


@pytest.mark.parametrize("span", ["5", "5:5", "9:1", "a:b", "0:1:2", "0:nan"])
def test_wrong_ranges(span: str) -> None:
    with pytest.raises(UsageError, match="must be LOW:HIGH"):
        modality_table({"name": "gray"}, span=span)


def test_wrong_options() -> None:
    with pytest.raises(ConfigError, match=r"must be \[low, high\]"):
        build_modality({"name": "rgb", "range": [3, 1]})
    with pytest.raises(UsageError, match="not for modality 'segmentation'"):
        modality_table({"name": "segmentation"}, span="0:1")


def test_photographs_called_jfif(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.jpg", "c.JFIF", "d.jpe"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, "JPEG")
    assert len(ImageFolder(tmp_path, build_modality({"name": "rgb"}), 8)) == 4
