"""The library reads rendered data sets as what was rendered."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from anchor_faces.dataset import render_dataset
from anchor_faces.plugin import DOMAINS
from anchor_faces.rendering import landmark_map, render
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.modality import build_modality

COUNT, SIZE = 8, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [name for name, *_ in DOMAINS]
    return render_dataset(tmp_path_factory.mktemp("set"), count=COUNT, size=SIZE, modalities=names, workers=1)


@pytest.mark.parametrize(("name", "modality"), [(name, modality) for name, modality, *_ in DOMAINS])
def test_every_domain_reads_its_folder(folder: Path, name: str, modality: dict[str, object]) -> None:
    samples = ImageFolder(folder / name, build_modality(modality), SIZE)
    assert len(samples) == COUNT
    for index, sample in enumerate(render(0, range(COUNT), SIZE, [name])):
        read, rendered = samples[index], sample[name]
        if name == "seg":
            assert torch.equal(read[0].long(), rendered)
        elif name == "landmark":
            assert torch.allclose(read, rendered, atol=1e-3)
        else:
            rendered = rendered * 0.5 + 0.5 if name == "normal" else rendered
            picture = rendered if rendered.dim() == 3 else rendered[None]
            assert (read.float() / 255 - picture).abs().max() < 0.51 / 255


def test_drawn_landmarks_are_drawn_alike(folder: Path) -> None:
    files = ImageFolder(folder / "landmark", build_modality({"name": "landmarks"}), SIZE)
    points = files[0]
    drawn = files.modality.to_network(points[None])[0, 0] * 0.5 + 0.5
    assert (drawn - landmark_map(points, SIZE)).abs().max() < 0.01


def test_factors_filter_the_images(folder: Path) -> None:
    with open(folder / "factors.csv", newline="") as stream:
        expected = [row["name"] for row in csv.DictReader(stream) if float(row["smile"]) > 0.4]
    assert 0 < len(expected) < COUNT
    chosen = ImageFolder(folder / "face", build_modality({"name": "rgb"}), SIZE, where="smile>0.4")
    assert [path.stem for path in chosen.paths] == expected
