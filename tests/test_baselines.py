"""The benchmark's neighbours in benchmarks/: they train, answer, and answer with what they should."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_faces.dataset import render_dataset
from anchor_hub.domains.loading import load_domain
from anchor_hub.inversion.latents import LatentFile
from anchor_hub.modality.pictures import from_unit
from anchor_hub.training.base import Batch, TrainingContext
from tests.scripts import ROOT, script


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("renders") / "faces"
    return render_dataset(folder, count=8, size=64, seed=5, modalities=["face", "seg", "landmark"], workers=1)


def call(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *(str(item) for item in arguments)])
    module.main()


def test_the_nearest_neighbour_of_a_training_sample_is_itself(
    renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearest = script("benchmarks/nearest.py")
    known, asked = torch.tensor([[0.0, 0], [5, 0], [0, 5]]), torch.tensor([[4.0, 1], [-9, 1], [1, 3]])
    assert nearest.nearest(asked, known).tolist() == [1, 0, 2]
    call(nearest, monkeypatch, "--data", renders, "--samples", renders, "-o", tmp_path / "out")
    for way in ("seg-to-face", "face-to-seg"):
        target = way.rpartition("-")[2]
        same = [
            (tmp_path / "out" / way / f"{index:06d}.png").read_bytes()
            == (renders / target / f"{index:06d}.png").read_bytes()
            for index in range(8)
        ]
        assert sum(same) >= 7, way
    assert len(list((tmp_path / "out" / "face-to-landmark").glob("*.json"))) == 8


def test_toons_and_cats_have_neighbours_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample's nearest neighbour in another kind of pictures is often its own twin: both turn the same way."""
    nearest = script("benchmarks/nearest.py")
    folder = render_dataset(tmp_path / "all", count=12, size=64, seed=5, modalities=["face", "toon"], workers=1)
    call(nearest, monkeypatch, "--pair", "face:toon", "--data", folder, "--samples", folder, "-o", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["face-to-toon"]
    names = [f"{index:06d}.png" for index in range(12)]
    same = [
        (tmp_path / "out" / "face-to-toon" / name).read_bytes() == (folder / "toon" / name).read_bytes()
        for name in names
    ]
    assert sum(same) >= 6  # by chance one


def test_cyclegan_trains_resumes_and_answers(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cyclegan = script("benchmarks/cyclegan.py")
    arguments = ["train", "--data", renders, "--count", 8, "--batch", 2, "-o", tmp_path / "bundle"]
    call(cyclegan, monkeypatch, *arguments, "--images", 8, "--run-dir", tmp_path / "run")
    call(cyclegan, monkeypatch, *arguments, "--images", 8, "--run-dir", tmp_path / "run", "--resume")
    call(cyclegan, monkeypatch, "translate", tmp_path / "bundle", "--samples", renders, "-o", tmp_path / "out")
    assert len(list((tmp_path / "out" / "seg-to-face").glob("*.png"))) == 8
    assert len(list((tmp_path / "out" / "face-to-seg").glob("*.png"))) == 8


def test_cyclegan_learns_to_come_back() -> None:
    """The cycle loss falls, and every part of the published objective is there."""
    cyclegan = script("benchmarks/cyclegan.py")
    torch.manual_seed(0)
    modalities = (cyclegan.modality_of("seg"), cyclegan.modality_of("face"))
    blocks = torch.randint(0, 19, (4, 1, 4, 4), dtype=torch.uint8)
    labels = blocks.repeat_interleave(16, 2).repeat_interleave(16, 3)
    pictures = torch.randint(0, 255, (4, 3, 4, 4), dtype=torch.uint8).repeat_interleave(16, 2).repeat_interleave(16, 3)
    options = cyclegan.CycleOptions(width=4, blocks=1, learning_rate=2e-3, images=1000)
    recipe = cyclegan.CycleRecipe((labels, pictures), modalities, ("seg", "face"), options)
    recipe.setup(TrainingContext(torch.device("cpu"), "fp32", 0, 2, ROOT))
    losses = [recipe.step({"own": Batch(torch.tensor([0, 1]))}, index) for index in range(25)]
    first, last = (sum(float(row["cycle"]) for row in part) for part in (losses[:3], losses[-3:]))
    assert last < 0.95 * first
    assert set(losses[0]) == {"adversarial", "cycle", "critics"}
    output = recipe.forward_(modalities[0].to_network(labels))
    assert output.shape == (4, 3, 64, 64) and float(output.detach().abs().max()) <= 1
    back = recipe.backward_(modalities[1].to_network(pictures)).detach()
    torch.testing.assert_close(back.sum(1), torch.ones(4, 64, 64))


def test_inverted_latents_become_pictures_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are named after the inverted pictures, and are what the domain decodes."""
    inverted = script("benchmarks/inverted.py")
    hub = load_domain("face").hub
    latents = hub.expand(hub.sample(2, seed=3))
    record = {"names": ["a/000007.png", "000009.png"], "hub": hub.name, "hub_fingerprint": hub.fingerprint}
    (tmp_path / "codes.safetensors").write_bytes(LatentFile(latents, record).to_bytes())
    call(inverted, monkeypatch, tmp_path / "codes.safetensors", "--targets", "face", "-o", tmp_path / "out")
    for name, picture in zip(("000007", "000009"), from_unit(hub.image(latents, noise="const")), strict=True):
        found = torch.from_numpy(np.asarray(Image.open(tmp_path / "out" / "face-to-face" / f"{name}.png")).copy())
        assert (found.permute(2, 0, 1).int() - picture.int()).abs().max() <= 1
