from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anchor_hub.errors import ConfigError, DataError, ModalityNotFoundError
from anchor_hub.modality import Modality, build_modality

CHANNELS = {"rgb": 3, "gray": 1}


def noise(channels: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (channels, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str, suffix: str):
    modality, sample = build_modality({"name": name}), noise(CHANNELS[name])
    modality.write(sample, tmp_path / f"a{suffix}")
    assert torch.equal(modality.read(tmp_path / f"a{suffix}", 16), sample)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("name", CHANNELS)
def test_writing_twice_gives_the_same_bytes(tmp_path: Path, name: str):
    modality, sample = build_modality({"name": name}), noise(CHANNELS[name])
    for file in ("a.png", "b.png"):
        modality.write(sample, tmp_path / file)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", CHANNELS)
def test_networks_see_minus_one_to_one_and_give_the_same_bytes_back(name: str):
    modality = build_modality({"name": name})
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, CHANNELS[name], 16, 16)
    images = modality.to_network(levels)
    assert images.dtype == torch.float32 and images.min() == -1 and images.max() == 1
    assert torch.equal(modality.from_network(images), levels)
    assert torch.equal(modality.from_network(images * 3), (levels.float() * 3 - 255).clamp(0, 255).byte())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(list(CHANNELS)), st.integers(0, 1000), st.integers(1, 9))
def test_flipping_twice_changes_nothing(name: str, seed: int, size: int):
    modality, batch = build_modality({"name": name}), noise(CHANNELS[name], size, seed)[None]
    flipped = modality.flip(batch)
    assert torch.equal(flipped[..., 0], batch[..., -1])
    assert torch.equal(modality.flip(flipped), batch)


def test_the_loss_is_the_mean_squared_error():
    modality = build_modality({"name": "rgb"})
    samples = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    assert modality.reconstruction_loss(torch.ones(2, 3, 4, 4), samples) == 0
    assert modality.reconstruction_loss(torch.full((2, 3, 4, 4), 0.5), samples) == pytest.approx(0.25)


def test_stretch_squeezes_and_crop_takes_the_middle(tmp_path: Path):
    pixels = np.zeros((8, 24), np.uint8)
    pixels[:, 8:16] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    stretched = build_modality({"name": "gray"}).read(tmp_path / "wide.png", 8)
    cropped = build_modality({"name": "gray", "fit": "crop"}).read(tmp_path / "wide.png", 8)
    assert stretched.float().mean() == pytest.approx(85, abs=2)
    assert torch.equal(cropped, torch.full((1, 8, 8), 255, dtype=torch.uint8))


def test_a_transparent_drawing_lies_on_white_paper(tmp_path: Path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[0, 0] = (0, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "drawing.png")
    sample = build_modality({"name": "gray"}).read(tmp_path / "drawing.png", 4)
    assert sample[0, 0, 0] == 0 and sample.sum() == 255 * 15


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path):
    Image.fromarray(np.array([[0, 257, 32896, 65535]] * 4, np.uint16)).save(tmp_path / "deep.png")
    assert build_modality({"name": "gray"}).read(tmp_path / "deep.png", 4)[0, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("orientation, corner", [(1, (0, 0)), (3, (3, 3)), (6, (0, 3)), (8, (3, 0))])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, corner: tuple[int, int]):
    pixels = np.zeros((4, 4), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    sample = build_modality({"name": "gray"}).read(tmp_path / "turned.png", 4)
    assert sample[0][corner] == 255 and sample.sum() == 255


@pytest.mark.parametrize(
    "table",
    [
        {"name": "rgb"},
        {"name": "gray", "fit": "crop"},
        {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"},
        {"name": "segmentation", "classes": 5},
        {"name": "segmentation", "classes": 4, "merge": {"a": [0, 3], "b": ["*"]}},
        {"name": "landmarks", "points": 68},
        {"name": "landmarks", "points": 5, "drawn": True, "size": 32, "sigma": 2.0},
    ],
)
def test_options_build_the_same_modality_again(table: dict[str, object]):
    modality = build_modality(table)
    assert {"name": modality.name, **modality.options()} == table
    assert isinstance(modality, Modality) and modality.name == table["name"]


def test_wrong_tables_are_refused_with_the_fix():
    with pytest.raises(ConfigError, match="Did you mean 'fit'"):
        build_modality({"name": "rgb", "fitt": "crop"})
    with pytest.raises(ConfigError, match="'stretch' or 'crop'"):
        build_modality({"name": "rgb", "fit": "squash"})
    with pytest.raises(ConfigError, match="needs a name"):
        build_modality({"size": 3})
    with pytest.raises(ModalityNotFoundError, match="Did you mean 'rgb'"):
        build_modality({"name": "rbg"})


def test_a_format_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"\.xyz"):
        build_modality({"name": "rgb"}).write(noise(3), tmp_path / "a.xyz")
    with pytest.raises(DataError, match="cannot be written"):
        build_modality({"name": "rgb"}).write(noise(3), tmp_path / "nowhere" / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CHANNELS)
def test_preview_is_rgb_and_enlarges_sharply(name: str):
    modality, sample = build_modality({"name": name}), noise(CHANNELS[name])
    picture = modality.preview(sample, 32)
    assert picture.shape == (3, 32, 32) and picture.dtype == torch.uint8
    assert torch.equal(picture[:, ::2, ::2], sample.expand(3, -1, -1))
    assert torch.equal(picture[:, 1::2, 1::2], sample.expand(3, -1, -1))
