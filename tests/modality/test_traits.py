"""What modalities say of themselves, and that everything asks for that and not for a name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_hub.data.check import check_folder
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import ConfigError, DataError, UsageError
from anchor_hub.evaluation.measures import LabelMeasure, LandmarkMeasure, Loaded
from anchor_hub.evaluation.plan import Networks, make_plan, parse_metrics
from anchor_hub.evaluation.report.embedding import read_picture
from anchor_hub.modality import Modality, Traits, build_modality
from anchor_hub.testing import check_modality
from anchor_hub.training.anchoring.options import settings_row
from tests.modality.strangers import Corners, Photo, Zones

ROOT = Path(__file__).parents[2]
MERGED = {"name": "segmentation", "classes": 4, "merge": {"a": [0, 3], "b": ["*"]}}


@pytest.mark.parametrize(
    ("table", "traits"),
    [
        ({"name": "rgb"}, Traits(picture=True)),
        ({"name": "gray"}, Traits()),
        ({"name": "segmentation", "classes": 3}, Traits(classes=("0", "1", "2"))),
        (MERGED, Traits(classes=("a", "b"))),
        ({"name": "landmarks", "points": 5}, Traits(points=5)),
        ({"name": "landmarks", "points": 5, "drawn": True}, Traits()),
    ],
)
def test_the_built_in_modalities(table: dict[str, Any], traits: Traits) -> None:
    assert build_modality(table).traits == traits
    assert build_modality(table).at(32).traits == traits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["a", "b"]}, "tuple of the classes' names"),
        ({"classes": (1, 2)}, "tuple of the classes' names"),
        ({"points": -1}, "how many points"),
        ({"points": True}, "how many points"),
        ({"picture": True, "points": 3}, "set one of"),
    ],
)
def test_wrong_traits(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Traits(**options)
    with pytest.raises(AttributeError):
        Traits().picture = True  # type: ignore[misc]


def test_strangers_keep_the_contract(strangers: None) -> None:
    check_modality(Photo(), torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8))
    check_modality(Zones(), torch.randint(0, 3, (2, 1, 16, 16), dtype=torch.uint8))
    check_modality(Corners(4), torch.rand(2, 4, 2) * 32, side=32)


DEFAULTS: list[tuple[Modality, tuple[str, ...]]] = [
    (Photo(), ("psnr", "l1")),
    (Zones(), ("pixel_accuracy", "mean_iou")),
    (Corners(4), ("landmark_error",)),
]


@pytest.mark.parametrize(("modality", "metrics"), DEFAULTS)
def test_metrics_of_a_strangers_modality(modality: Modality, metrics: tuple[str, ...]) -> None:
    assert parse_metrics(None, modality, True) == metrics
    for other, names in DEFAULTS[1:]:
        if other is not modality:
            with pytest.raises(UsageError, match=rf"but the target is {modality.name}"):
                parse_metrics(names, modality, True)
        else:
            assert parse_metrics(names, modality, True) == names


def test_label_maps_of_a_stranger_are_measured() -> None:
    plan = make_plan(("pixel_accuracy", "mean_iou"), Zones(), 8, Networks())
    (measure,) = plan.measures
    assert isinstance(measure, LabelMeasure) and measure.classes == 3
    maps = torch.tensor([0, 1, 2, 2], dtype=torch.uint8).reshape(1, 1, 2, 2)
    found = torch.tensor([0, 1, 2, 1], dtype=torch.uint8).reshape(1, 1, 2, 2)
    assert measure.scores(measure.rows(Loaded(output=found, truth=maps))[0])["pixel_accuracy"] == 0.75


def test_points_of_a_stranger_are_measured() -> None:
    (measure,) = make_plan(("landmark_error",), Corners(2), 8, Networks()).measures
    assert isinstance(measure, LandmarkMeasure) and measure.points == 2
    points = torch.tensor([[[1.0, 1.0], [4.0, 4.0]]])
    moved = points + torch.tensor([3.0, 4.0])
    assert measure.scores(measure.rows(Loaded(output=moved, truth=points))[0])["landmark_error_px"] == 5


def test_reports_show_a_strangers_pictures_as_they_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert np.array_equal(np.array(read_picture(tmp_path / "wide.png", Photo())), pixels)
    (tmp_path / "points.txt").write_text("0.5 0.5 0.25 0.75")
    drawn = np.array(read_picture(tmp_path / "points.txt", Corners(2)))
    assert drawn.shape == (128, 128, 3) and np.count_nonzero(drawn[..., 0]) == 2


def test_a_folder_of_a_strangers_label_maps_is_described(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0], [1, 1]], np.uint8)).save(tmp_path / "a.png")
    report = check_folder(tmp_path, Zones(), 2)
    assert report.classes == {"sky": 0.5, "land": 0.5, "sea": 0.0}
    assert "no pixel is of class sea" in report.warnings


def paired(folder: Path) -> Path:
    """Two samples of every kind, side by side."""
    for name, mode in (("photos", "RGB"), ("masks", "L"), ("sketches", "L")):
        (folder / name).mkdir()
        for number in range(2):
            Image.new(mode, (4, 4)).save(folder / name / f"{number}.png")
    (folder / "landmarks").mkdir()
    for number in range(2):
        (folder / "landmarks" / f"{number}.txt").write_text("0 0 1 1")
        (folder / "landmarks" / f"{number}.json").write_text("[[0, 0], [1, 1]]")
    return folder


@pytest.mark.parametrize(
    ("modality", "where"),
    [
        (Photo(), "photos"),
        (Zones(), "masks"),
        (Corners(2), "landmarks"),
        (build_modality({"name": "landmarks", "points": 2}), "landmarks"),
        (build_modality({"name": "landmarks", "points": 2, "drawn": True}), "landmarks"),
        (build_modality({"name": "gray"}), "sketches"),
        (build_modality({"name": "rgb"}), "photos"),
        (build_modality({"name": "segmentation", "classes": 2}), "masks"),
    ],
    ids=["photo", "zones", "corners", "points", "drawn", "gray", "rgb", "segmentation"],
)
def test_the_folder_of_a_modality_is_found(tmp_path: Path, modality: Modality, where: str) -> None:
    folder = ImageFolder(paired(tmp_path), modality, 4)
    assert len(folder) == 2 and {path.parent.name for path in folder.paths} == {where}


def test_published_data_sets_have_no_label_maps_of_a_stranger(tmp_path: Path) -> None:
    (tmp_path / "images1024x1024" / "00000").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "images1024x1024" / "00000" / "00000.png")
    assert len(ImageFolder(tmp_path, Photo(), 4)) == 1
    with pytest.raises(DataError, match="without label maps"):
        ImageFolder(tmp_path, Zones(), 4)


def test_training_goes_by_what_samples_are() -> None:
    """A stranger's pictures and one-hot label maps are trained with the settings of the built-in ones."""
    assert settings_row(Photo()) == "rgb" and settings_row(Zones()) == "segmentation"
    assert settings_row(Corners(3)) == "corners", "heat maps of another's points: nothing was measured for them"
    for name in ("rgb", "gray", "landmarks"):
        assert settings_row(build_modality({"name": name})) == name


def test_traits_cost_no_torch() -> None:
    code = "import sys; from anchor_hub import Traits; Traits(points=5); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False"]
