"""Masks of foreground in every mode and depth, and label maps with unlabelled pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_hub.errors import ConfigError, ImageError, UsageError
from anchor_hub.evaluation.measures import LabelMeasure
from anchor_hub.modality import build_modality
from anchor_hub.modality.merging import merge_lookup
from anchor_hub.modality.options import modality_table
from anchor_hub.modality.segmentation import Segmentation
from anchor_hub.training.anchoring import losses

MASK = np.zeros((8, 8), np.uint8)
MASK[2:6, 1:5] = 1


def save(path: Path, values: Any, mode: str | None = None) -> Path:
    Image.fromarray(np.ascontiguousarray(values), mode).save(path)
    return path


def palette_image(colours: list[int], ids: Any = MASK) -> Image.Image:
    image = Image.fromarray(ids, "P")
    image.putpalette(colours)
    return image


WHITE = MASK * 255
MASKS: dict[str, Any] = {
    "ids": Image.fromarray(MASK),
    "L": Image.fromarray(WHITE),
    "1": Image.fromarray(WHITE).convert("1"),
    "16 bit": Image.fromarray(MASK.astype(np.uint16) * 65535),
    "16 bit, 255": Image.fromarray(WHITE.astype(np.uint16)),
    "32 bit": Image.fromarray(WHITE.astype(np.int32)),
    "float": Image.fromarray(MASK.astype(np.float32)),
    "float, 255": Image.fromarray(WHITE.astype(np.float32)),
    "RGB": Image.fromarray(np.repeat(WHITE[..., None], 3, axis=2)),
    "RGBA": Image.fromarray(np.dstack([WHITE] * 3 + [np.full_like(WHITE, 255)])),
    "alpha": Image.fromarray(np.dstack([WHITE * 0] * 3 + [WHITE])),
    "alpha of white": Image.fromarray(np.dstack([WHITE * 0 + 255] * 3 + [WHITE])),
    "LA, alpha": Image.fromarray(np.dstack([WHITE * 0, WHITE])),
    "LA": Image.fromarray(np.dstack([WHITE, WHITE * 0 + 255])),
    "palette": palette_image([0, 0, 0, 255, 255, 255]),
    "palette, white first": palette_image([255, 255, 255, 0, 0, 0], 1 - MASK),
    "palette, index 255": palette_image([i for i in range(256) for _ in range(3)], WHITE),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks(name: str, tmp_path: Path) -> None:
    suffix = "tif" if "float" in name or "32" in name else "png"
    path = tmp_path / f"a.{suffix}"
    MASKS[name].save(path)
    assert torch.equal(Segmentation(2).read(path, 8)[0], torch.from_numpy(MASK))


@pytest.mark.parametrize(
    ("palette", "index", "wanted"),
    [
        ([255, 255, 255], 0, 1), ([0, 0, 0], 0, 0), ([0, 0, 0, 255, 255, 255], 1, 1), ([255, 255, 255, 0, 0, 0], 0, 1),
        ([255, 255, 255, 0, 0, 0], 1, 0), ([255, 255, 255, 9, 9, 9], 0, 0),
    ],
)  # fmt: skip
def test_masks_of_one_colour_in_a_palette(palette: list[int], index: int, wanted: int, tmp_path: Path) -> None:
    palette_image(palette, np.full((8, 8), index, np.uint8)).save(tmp_path / "a.png")
    assert Segmentation(2).read(tmp_path / "a.png", 8).unique().tolist() == [wanted]


def test_alpha_that_is_no_mask_is_refused(tmp_path: Path) -> None:
    MASKS["alpha"].save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="its alpha channel is no mask of two classes"):
        Segmentation(3).read(tmp_path / "a.png", 8)
    soft = np.dstack([MASK * 0] * 3 + [MASK * 100])
    with pytest.raises(ImageError, match="no mask"):
        Segmentation(2).read(save(tmp_path / "b.png", soft), 8)


def test_fractions_are_no_ids(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="fractions"):
        Segmentation(2).read(save(tmp_path / "a.tif", MASK.astype(np.float32) / 2), 8)


IDS = np.array([[0, 1, 2, 255], [2, 2, 1, 255], [0, 0, 1, 1], [255, 0, 2, 1]], np.uint8)
KNOWN = np.where(IDS == 255, 3, IDS)


@pytest.mark.parametrize("kind", ["gray", "palette", "RGB", "16 bit"])
def test_unlabelled_pixels(kind: str, tmp_path: Path) -> None:
    image: Any = {
        "gray": Image.fromarray(IDS),
        "palette": palette_image([17 * i % 256 for i in range(768)], IDS),
        "RGB": Image.fromarray(np.repeat(IDS[..., None], 3, axis=2)),
        "16 bit": Image.fromarray(IDS.astype(np.uint16)),
    }[kind]
    image.save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="pass --ignore-id 255" if kind != "RGB" else "colours that are no class"):
        Segmentation(3).read(tmp_path / "a.png", 4)
    sample = Segmentation(3, ignore=255).read(tmp_path / "a.png", 4)
    assert sample.dtype == torch.uint8 and torch.equal(sample[0], torch.from_numpy(KNOWN))


def test_no_loss_and_no_vote_where_unlabelled(tmp_path: Path) -> None:
    modality = Segmentation(3, ignore=255)
    samples = torch.from_numpy(KNOWN)[None, None]
    one_hot = modality.to_network(samples)
    assert one_hot.shape == (1, 3, 4, 4) and torch.equal(one_hot.sum(1)[0] == 0, torch.from_numpy(IDS == 255))
    logits = torch.randn(1, 3, 4, 4)
    there = torch.from_numpy(IDS != 255)
    expected = torch.nn.functional.cross_entropy(logits[0][:, there].T, samples[0, 0].long()[there])
    torch.testing.assert_close(modality.reconstruction_loss(logits, samples), expected)
    torch.testing.assert_close(losses.reconstruction_cross_entropy(logits, one_hot), expected)
    nothing = torch.full((1, 1, 4, 4), 3, dtype=torch.uint8)
    assert modality.reconstruction_loss(logits, nothing) == 0
    assert losses.reconstruction_cross_entropy(logits, modality.to_network(nothing)) == 0
    class Batch:
        output, truth = modality.from_network(logits), samples

    measure = LabelMeasure(3, ignored=True)
    (row,) = measure.rows(Batch)  # type: ignore[arg-type]
    right = (Batch.output[0, 0] == samples[0, 0])[there].double().mean()
    assert row.sum() == 13 and measure.scores(row)["pixel_accuracy"] == pytest.approx(float(right))


def test_flip_write_preview_and_options(tmp_path: Path) -> None:
    modality = build_modality({"name": "segmentation", "classes": 3, "ignore": 255})
    assert modality.options() == {"classes": 3, "ignore": 255} and modality.traits.ignored
    sample = torch.from_numpy(KNOWN)[None]
    assert torch.equal(modality.flip(modality.flip(sample)), sample)
    modality.write(sample, tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), IDS)
    assert torch.equal(modality.read(tmp_path / "a.png", 4), sample)
    assert modality.preview(sample)[:, 0, 3].tolist() == [128, 128, 128]


def test_merged_and_unlabelled(tmp_path: Path) -> None:
    modality = Segmentation(3, merge={"a": [0, 2], "b": [1]}, ignore=255)
    sample = modality.read(save(tmp_path / "a.png", IDS), 4)
    assert torch.equal(sample[0], torch.from_numpy(np.array([0, 1, 0, 2], np.uint8)[KNOWN]))


def test_wrong_options() -> None:
    with pytest.raises(ConfigError, match="is the id of a class"):
        Segmentation(3, ignore=2)
    with pytest.raises(ConfigError, match="whole number"):
        Segmentation(3, ignore=-1)
    assert modality_table({"name": "segmentation"}, ignore_id=255)["ignore"] == 255
    with pytest.raises(UsageError, match="--ignore-id"):
        modality_table({"name": "rgb"}, ignore_id=255)
    with pytest.raises(ConfigError, match="'a': names no class"):
        merge_lookup({"a": [], "b": ["*"]}, ["x", "y"])


def test_an_ignored_id_beyond_a_byte_survives_writing(tmp_path: Path) -> None:
    modality = Segmentation(3, ignore=65535)
    sample = torch.tensor([[[0, 1], [2, 3]]], dtype=torch.uint8)
    modality.write(sample, tmp_path / "a.png")
    assert int(np.asarray(Image.open(tmp_path / "a.png")).max()) == 65535
    assert torch.equal(modality.read(tmp_path / "a.png", 2), sample)
