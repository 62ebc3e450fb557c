"""The judges' recipe in the one trainer, on a handful of renders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anchor_faces.benchmark.judge_recipe import JudgeOptions, JudgeRecipe, augmented
from anchor_faces.benchmark.judge_training import JudgeTraining, train_judges
from anchor_faces.benchmark.judges import load_judges
from anchor_faces.benchmark.renders import Renders, load_renders
from anchor_faces.benchmark.samples import Samples
from anchor_hub.bundles.archive import install_bundle
from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import DataError, UsageError
from anchor_hub.plugins.registry import registry
from anchor_hub.system.home import Home
from anchor_hub.training.base import Batch, TrainingContext

OPTIONS = JudgeOptions(images=48, learning_rate=0.01)


def training(folder: Path, samples: Samples, **changes: object) -> JudgeTraining:
    settings: dict = {
        "data": samples.folder, "count": 24, "held_out": 4, "options": OPTIONS, "width": 4, "batch": 8,
        "precision": "fp32", "device": "cpu", "quiet": True, "license": "Apache-2.0", "workers": 1,
    }  # fmt: skip
    return JudgeTraining(folder / "run", folder / "judges", **{**settings, **changes})


def test_trains_measures_itself_and_exports(tmp_path: Path, samples: Samples, renders: Renders) -> None:
    result, bundle = train_judges(training(tmp_path, samples))
    assert result.finished and result.images == 48 and bundle is not None
    manifest = open_bundle(bundle, "judges").manifest
    assert manifest.provenance["data_images"] == 20 and manifest.metrics["held_out"]["samples"] == 4
    assert set(manifest.metrics["held_out"]) == {"samples", "structure", "landmarks", "turn", "factors"}
    judges = load_judges(bundle)
    assert judges.read(renders.pictures[:2]).points.shape == (2, 68, 2)
    assert set(judges.readers) == {"seg", "landmark", "sketch"}
    # The same run again is refused; going on from its end only measures and exports again.
    with pytest.raises(UsageError, match="exists already"):
        train_judges(training(tmp_path, samples))
    again, _ = train_judges(training(tmp_path, samples, resume=True))
    assert (again.steps, again.images) == (result.steps, 48)
    with pytest.raises(UsageError, match="judges are not installed"):
        install_bundle(bundle, Home(tmp_path / "home"))


def test_learns_and_repeats_itself(tmp_path: Path, renders: Renders) -> None:
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        recipe = JudgeRecipe(renders, JudgeOptions(images=1000, learning_rate=0.01), width=4)
        recipe.setup(TrainingContext(torch.device("cpu"), "fp32", 0, 8, tmp_path))
        rows = [recipe.step({"own": Batch(torch.arange(8))}, index) for index in range(12)]
        losses.append([{name: float(value) for name, value in row.items()} for row in rows])
    assert losses[0] == losses[1]
    for name in ("labels", "points", "factors"):
        assert losses[0][-1][name] < losses[0][0][name], name
    state = recipe.state_dict()
    recipe.load_state_dict(state)
    assert [picture.shape for picture in recipe.samples({"own": Batch(torch.arange(3))})["parsed"]] == [(3, 64, 64)] * 3


def test_augmentation_keeps_range_and_structure() -> None:
    torch.manual_seed(0)
    images = torch.rand(32, 3, 64, 64) * 2 - 1
    images[:, :, :32] = -0.6
    images[:, :, 32:] = 0.6
    changed = augmented(images)
    assert changed.shape == images.shape and float(changed.abs().max()) <= 1
    assert not torch.equal(changed, images)
    assert bool((changed[:, :, :28].mean((1, 2, 3)) < changed[:, :, 36:].mean((1, 2, 3)) - 0.5).all())


def test_bad_data_is_refused(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(UsageError, match="held-out"):
        train_judges(training(tmp_path, samples, held_out=24))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no rendered data set"):
        load_renders(tmp_path / "empty")
    about = "renderer: anchor_faces\nrenderer_version: 1\nseed: 0\nsize: 128\n"
    (tmp_path / "empty" / "dataset.yaml").write_text(about)
    with pytest.raises(DataError, match="128 px"):
        load_renders(tmp_path / "empty")


def test_the_recipe_is_registered() -> None:
    assert registry().load(registry().recipes["face-judges"].spec.target) is JudgeRecipe
