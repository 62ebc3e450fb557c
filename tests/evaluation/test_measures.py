"""Measures and metrics of sets whose answers are known by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation import plan
from anchor_hub.evaluation.measures import (
    EfficientNetPairs,
    LabelMeasure,
    LandmarkMeasure,
    Loaded,
    PerceptualMeasure,
    PictureMeasure,
    Setting,
)
from anchor_hub.evaluation.plan import Networks, make_plan, parse_metrics
from anchor_hub.evaluation.rows import Rows
from anchor_hub.evaluation.sets import FeatureSets
from anchor_hub.metrics import perceptual
from anchor_hub.modality import build_modality
from anchor_hub.networks.efficientnet_lite import EfficientNetLite0

RGB = build_modality({"name": "rgb"})


def rows_of(measure: Any, batch: Loaded, folder: Path) -> Rows:
    rows = Rows(folder / measure.key, measure.width, measure.dtype)
    rows.append(measure.rows(batch))
    return rows


def test_label_maps_by_hand(tmp_path: Path) -> None:
    truth = torch.tensor([[0, 0, 1, 1], [2, 2, 2, 2]])[:, None, None, :]
    found = torch.tensor([[0, 1, 1, 1], [2, 2, 2, 0]])[:, None, None, :]
    measure = LabelMeasure(4)
    rows = rows_of(measure, Loaded(output=found, truth=truth), tmp_path)
    accuracy, iou = measure.metrics(rows, Setting(side=4, pairs=2, class_names=("skin", "hair", "hat", "ear")))
    assert accuracy.value == 6 / 8 and accuracy.details["pixels"] == 8
    # skin: 1 right of {2 true, 2 found}; hair: 2 of {2, 3}; hat: 3 of {4, 3}; ear: nowhere, left out.
    assert iou.details["iou"] == pytest.approx({"skin": 1 / 3, "hair": 2 / 3, "hat": 3 / 4, "ear": None})
    assert iou.value == pytest.approx((1 / 3 + 2 / 3 + 3 / 4) / 3)
    one = measure.scores(torch.cat(list(rows.blocks()))[0])
    assert one == pytest.approx({"pixel_accuracy": 3 / 4, "mean_iou": (1 / 2 + 2 / 3) / 2})
    # Arguments swapped: what is found and true nowhere changes places, the intersection does not.
    swapped = rows_of(measure, Loaded(output=truth, truth=found), tmp_path / "..")
    assert measure.metrics(swapped, Setting(side=4, pairs=2))[1].value == pytest.approx(iou.value)


def test_points_by_hand(tmp_path: Path) -> None:
    truth = torch.zeros(2, 68, 2)
    truth[:, 45, 0] = torch.tensor([10.0, 20.0])  # the eyes' distances
    found = truth + torch.tensor([3.0, 4.0])  # 5 px off everywhere
    measure = LandmarkMeasure(68)
    rows = rows_of(measure, Loaded(output=found, truth=truth), tmp_path)
    pixels, normalised = measure.metrics(rows, Setting(side=64, pairs=2))
    assert pixels.value == pytest.approx(5) and pixels.unit == "px"
    assert pixels.details["by_point"] == pytest.approx([5.0] * 68)
    # The mean of the faces' errors, 5/10 and 5/20, not the ratio of the means.
    assert normalised.value == pytest.approx((0.5 + 0.25) / 2)
    scores = measure.scores(torch.cat(list(rows.blocks()))[1])
    assert scores == pytest.approx({"landmark_error_px": 5, "landmark_error_interocular": 0.25})
    with pytest.raises(DataError, match="coincide"):
        measure.rows(Loaded(output=found, truth=torch.zeros(2, 68, 2)))
    other = LandmarkMeasure(5)
    few = rows_of(other, Loaded(output=torch.zeros(1, 5, 2), truth=torch.ones(1, 5, 2)), tmp_path / "..")
    assert [metric.name for metric in other.metrics(few, Setting(side=64, pairs=1))] == ["landmark_error_px"]
    with pytest.raises(DataError, match="drawings"):
        other.rows(Loaded(output=torch.zeros(1, 1, 8, 8), truth=torch.zeros(1, 1, 8, 8)))


def test_pictures_by_hand(tmp_path: Path) -> None:
    black = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    other = black.clone()
    other[0] = 51
    other[1] = 255
    for name, wanted in (("l1", 0.6), ("l2", (0.04 + 1) / 2), ("psnr", (13.979400086720375 + 0) / 2)):
        measure = PictureMeasure(name)
        rows = rows_of(measure, Loaded(output_pictures=other, truth_pictures=black), tmp_path)
        (metric,) = measure.metrics(rows, Setting(side=8, pairs=2))
        assert metric.value == pytest.approx(wanted, rel=1e-9), name
        assert metric.higher_is_better is (name == "psnr") and metric.counts == {"pairs": 2}


class Steps:
    """In place of LPIPS: the difference of the first pixels."""

    net, sha256 = "alex", "d" * 64

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        return (first[:, 0, 0, 0].float() - second[:, 0, 0, 0].float()).abs()


def test_diversity_is_the_mean_over_all_pairs_of_an_input(tmp_path: Path) -> None:
    styles = torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8)
    styles[0, :, :] = torch.tensor([0, 1, 5], dtype=torch.uint8)[:, None, None, None]
    measure: Any = PerceptualMeasure("lpips_diversity", Steps())  # type: ignore[arg-type]
    rows = rows_of(measure, Loaded(styles=styles), tmp_path)
    (metric,) = measure.metrics(rows, Setting(side=8, pairs=2, styles=3, seed=4))
    # |0-1|, |0-5|, |1-5| for the first input, nothing for the second.
    assert metric.value == pytest.approx(((1 + 5 + 4) / 3 + 0) / 2)
    assert metric.name == "lpips_diversity_alex" and metric.higher_is_better and metric.seed == 4
    assert metric.settings["outputs"] == 3 and metric.extractor.sha256 == "d" * 64
    to_input: Any = PerceptualMeasure("lpips_s", Steps())  # type: ignore[arg-type]
    batch = Loaded(output_pictures=styles[:, 2], input_pictures=styles[:, 1], truth_pictures=styles[:, 2])
    (similar,) = to_input.metrics(rows_of(to_input, batch, tmp_path), Setting(side=8, pairs=2))
    assert similar.value == pytest.approx(2.0) and similar.higher_is_better is False and similar.seed is None
    assert len({metric.protocol, similar.protocol}) == 2


def test_the_stand_in_has_all_four_comparisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is the distance of the pictures that its namesake of LPIPS compares, under a name of its own."""
    torch.manual_seed(0)
    network = EfficientNetLite0().eval().requires_grad_(False)
    for weight in network.parameters():  # they start at 0
        torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    monkeypatch.setattr("anchor_hub.metrics.efficientnet.load_efficientnet", lambda *paths, device: network)
    names = tuple(f"efficientnet{compared}" for compared in ("", "_s", "_d", "_diversity"))
    found = make_plan(names, RGB, 64, Networks())
    pictures = torch.randint(0, 256, (4, 2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    output, truth, source, other = pictures
    styles = pictures[:2].transpose(0, 1)
    batch = Loaded(output_pictures=output, truth_pictures=truth, input_pictures=source, styles=styles)
    distance = EfficientNetPairs()
    wanted = {"": (output, truth), "_s": (output, source), "_diversity": (output, truth), "_d": (output, other)}
    for measure in (*found.measures, *found.between):
        held = Loaded(output_pictures=output, truth_pictures=other) if measure in found.between else batch
        (metric,) = measure.metrics(rows_of(measure, held, tmp_path), Setting(side=64, pairs=2, styles=2))
        pair = wanted[metric.name.removeprefix("efficientnet").removesuffix("_lite0")]
        assert metric.value == pytest.approx(float(distance(*pair).mean()), rel=1e-6)
        assert metric.extractor is not None and metric.extractor.name == "efficientnet-lite0"
        assert metric.higher_is_better is metric.name.endswith(("_d_lite0", "_diversity_lite0"))
    assert len(found.measures) == 3 and len(found.between) == 1


# -- sets


class Named:
    name, short, sha256, resize = "tiny-net-1", "tiny-net", "e" * 64, "none"


def sets(folder: Path, real: Tensor, fake: Tensor, classes: str = "", **changes: Any) -> FeatureSets:
    found = []
    for role, features in (("real", real), ("fake", fake)):
        rows = Rows(folder / role, features.shape[1], torch.float32)
        rows.trim(0)
        rows.append(features)
        found.append(rows)
    return FeatureSets(Named(), found[0], found[1], list(classes), list(changes.pop("fakes", classes)), **changes)


def test_distances_of_sets_by_hand(tmp_path: Path) -> None:
    # One feature: real 0, 2 (mean 1, variance 2); fake 5, 7 (mean 6, variance 2). 25 + 0.
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [7.0]])
    found = sets(tmp_path, real, fake)
    (metric,) = found.frechet()
    assert (metric.name, metric.label) == ("fd_tiny_net", "FD (tiny-net)") and metric.value == pytest.approx(25)
    assert metric.extractor is not None and metric.extractor.name == "tiny-net-1"
    # Deviations sqrt(2) and 2 sqrt(2): (1 - 5)^2 + (sqrt(2) - 2 sqrt(2))^2.
    (metric,) = sets(tmp_path, real, torch.tensor([[3.0], [7.0]])).frechet()
    assert metric.value == pytest.approx(16 + 2)


def test_the_kernel_distance_in_both_conventions(tmp_path: Path) -> None:
    pytest.importorskip("torchmetrics", exc_type=Exception)
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    thousand, hundred = sets(tmp_path, real, fake, seed=3).kernel()
    assert (thousand.name, hundred.name) == ("kd_tiny_net_x1000", "kd_tiny_net_x100")
    assert thousand.value == pytest.approx(297.5 * 1000) and hundred.value == pytest.approx(297.5 * 100)
    assert (thousand.unit, hundred.label) == ("x1000", "KD (tiny-net) ×100")
    assert thousand.protocol != hundred.protocol and thousand.seed == 3


def test_means_over_classes_by_hand(tmp_path: Path) -> None:
    real = torch.tensor([[0.0], [10.0], [2.0], [12.0]])
    fake = torch.tensor([[5.0], [10.0], [7.0], [12.0]])
    found = sets(tmp_path, real, fake, "abab")
    (metric,) = found.mean_frechet()
    assert metric.name == "mfd_tiny_net" and metric.label == "mFD (tiny-net)"
    assert metric.details["by_class"] == pytest.approx({"a": 25.0, "b": 0.0}) and metric.value == pytest.approx(12.5)
    for real_classes, fake_classes in (("aabb", "aacc"), ("", ""), ("abbb", "abbb")):
        with pytest.raises(DataError, match="class"):
            sets(tmp_path, real, fake, real_classes, fakes=fake_classes).mean_frechet()


def test_linear_classifiers(tmp_path: Path) -> None:
    real = torch.tensor([[0.0, 1], [10.0, 0], [1.0, 0], [11.0, 1]])
    fake = torch.tensor([[0.5, 0], [0.2, 1], [0.7, 1], [10.2, 0]])  # the second output looks like the other class
    rc, fc = sets(tmp_path, real, fake, "abab").linear_classifiers(["rc_linear", "fc_linear"])
    assert (rc.name, rc.value, fc.name) == ("rc_linear_tiny_net", 0.75, "fc_linear_tiny_net")
    assert rc.label == "RC (linear, tiny-net)" and rc.extractor is not None
    assert rc.higher_is_better and rc.chance == 0.5 and rc.settings["classifier"].startswith("logistic")
    (only,) = sets(tmp_path, real, fake, "abab").linear_classifiers(["fc_linear"])
    assert only.name == "fc_linear_tiny_net"


# -- what is asked for


def test_default_metrics_need_no_weights() -> None:
    seg = build_modality({"name": "segmentation", "classes": 4})
    points, drawn = (build_modality({"name": "landmarks", "drawn": value}) for value in (False, True))
    assert parse_metrics(None, RGB, True) == ("psnr", "l1")
    assert parse_metrics(None, seg, True) == ("pixel_accuracy", "mean_iou")
    assert parse_metrics(None, points, True) == ("landmark_error",)
    assert parse_metrics(None, drawn, True) == ("psnr", "l1")
    assert parse_metrics(" FID,lpips-s,fid ", RGB, False) == ("fid", "lpips_s")


def test_a_network_gives_only_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inception(Named):
        name = "inception"

    def load(given: Any, device: Any, resize: str) -> Any:
        return Inception() if given is None else Named()

    monkeypatch.setattr(plan, "load_extractor", load)
    with pytest.raises(UsageError, match="distances of Inception; give --metrics fd,kd"):
        make_plan(("fid",), RGB, 64, Networks(("x",)))
    with pytest.raises(UsageError, match="fd: needs a network; give --extractor"):
        make_plan(("fd",), RGB, 64, Networks())
    with pytest.raises(UsageError, match="rc_linear: needs features; give --extractor"):
        make_plan(("rc_linear",), RGB, 64, Networks())
    # The trained classifier looks at pictures: it neither needs an extractor nor takes one.
    assert make_plan(("fc", "rc"), RGB, 64, Networks()).classifiers == ("fc", "rc")
    with pytest.raises(UsageError, match="distances between sets"):
        make_plan(("rc",), RGB, 64, Networks(("x",)))
    with pytest.raises(UsageError, match="distances between sets"):
        make_plan(("l1",), RGB, 64, Networks(("x",)))
    both = make_plan(("fid", "fd", "rc_linear", "rc"), RGB, 64, Networks(("x",)))
    assert [(extractor.name, names) for extractor, names in both.extractors] == [
        ("inception", ("fid",)),
        ("tiny-net-1", ("fd", "rc_linear")),
    ]


def test_lpips_through_the_engine_is_the_librarys_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models: Any = pytest.importorskip("torchvision.models", exc_type=Exception)
    pytest.importorskip("lpips", exc_type=Exception)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(models.alexnet(weights=None).state_dict(), tmp_path / "draft.pth")
    digest = hashlib.sha256((tmp_path / "draft.pth").read_bytes()).hexdigest()
    monkeypatch.setitem(perceptual.TRUNK_FILES, "alex", f"alexnet-owt-{digest[:8]}.pth")
    found = make_plan(("lpips", "lpips_d"), RGB, 64, Networks(lpips_weights=tmp_path / "draft.pth"))
    (measure,) = found.measures
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=generator) for _ in range(2))
    rows = rows_of(measure, Loaded(output_pictures=one, truth_pictures=other), tmp_path)
    (metric,) = measure.metrics(rows, Setting(side=64, pairs=3))
    wanted = perceptual.Perceptual(weights=tmp_path / "draft.pth")(one, other).double().mean()
    assert metric.value == pytest.approx(float(wanted), rel=1e-6)
    assert metric.extractor is not None and metric.extractor.sha256 == digest and metric.name == "lpips_alex"
    assert [measure.key for measure in found.between] == ["lpips_d_alex"]
