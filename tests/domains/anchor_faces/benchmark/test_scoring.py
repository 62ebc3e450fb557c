"""Scores: the truth scores the floor, what ignores its input scores chance."""

from __future__ import annotations

import pytest
import torch

from anchor_faces.benchmark.factor_groups import GROUPS, kept_groups
from anchor_faces.benchmark.judges import load_judges
from anchor_faces.benchmark.renders import Renders
from anchor_faces.benchmark.scoring import (
    PictureJudge,
    label_scores,
    landmark_scores,
    picture_scores,
    shuffled,
)
from anchor_faces.rendering import CLASS_NAMES

from .conftest import named


@pytest.fixture(scope="module")
def judge(renders: Renders) -> PictureJudge:
    return PictureJudge(load_judges(), renders)


def test_true_faces_score_the_floor(judge: PictureJudge, renders: Renders) -> None:
    found = named(judge.score(renders.pictures, GROUPS))
    for name in ("parser_miou", "landmark_error_px", "landmark_error_interocular", "factor_agreement"):
        assert found[name].value == pytest.approx(found[name].floor), name
    assert found["fd_rendered"].value == pytest.approx(found["fd_rendered"].floor)
    assert found["fd_rendered"].counts == {"fake": 12, "real": 12}
    rows = found["factor_agreement"].details["factors"]
    assert rows["yaw"]["survives"] == 1 and rows["yaw"]["chance_agreement"] < 0.7


def test_other_faces_score_by_chance(judge: PictureJudge, renders: Renders) -> None:
    """Real faces, but of other samples: all realism, no structure."""
    found = named(judge.score(renders.pictures.roll(5, 0), kept_groups("seg", "face")))
    assert found["parser_miou"].value < found["parser_miou"].floor - 0.2
    assert abs(found["parser_miou"].value - found["parser_miou"].chance) < 0.08
    assert found["factor_agreement"].value < 0.3
    assert found["landmark_error_px"].value > 2 * found["landmark_error_px"].floor


def test_one_face_for_all_scores_exactly_by_chance(judge: PictureJudge, renders: Renders) -> None:
    same = renders.pictures[:1].expand(len(renders), -1, -1, -1).contiguous()
    found = named(judge.score(same, GROUPS))
    for name in ("parser_miou", "landmark_error_px"):
        assert found[name].value == pytest.approx(found[name].chance), name
    assert found["factor_agreement"].value == pytest.approx(0, abs=0.02)
    assert found["fd_rendered"].value > 2 * found["fd_rendered"].floor


def test_scores_of_samples_have_the_mean_of_the_score(judge: PictureJudge, renders: Renders) -> None:
    scores = judge.score(renders.pictures, GROUPS)
    errors = scores.by_sample["landmark_error_px"]
    assert sum(errors) / len(errors) == pytest.approx(named(scores)["landmark_error_px"].value)
    assert len(scores.by_sample["parser_miou"]) == len(renders)


def test_label_maps_and_points_against_the_truth(renders: Renders) -> None:
    labels = renders.labels[:, None]
    found = named(label_scores(labels, labels, CLASS_NAMES))
    assert found["mean_iou"].value == 1 == found["mean_iou"].floor and found["mean_iou"].chance < 0.4
    flat = named(label_scores(torch.zeros_like(labels), labels, CLASS_NAMES))
    assert flat["mean_iou"].value == flat["mean_iou"].chance < 0.1
    points = named(landmark_scores(renders.points + torch.tensor([3.0, 4.0]), renders.points))
    assert points["landmark_error_px"].value == pytest.approx(5)
    assert points["landmark_error_px"].floor == 0 < points["landmark_error_px"].chance
    dark = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    picture = named(picture_scores(dark + 51, dark))
    assert picture["l1"].value == pytest.approx(0.2)
    assert picture["psnr"].value == pytest.approx(13.9794, abs=1e-3)


def test_diversity_is_none_for_equal_styles_and_one_for_strangers(judge: PictureJudge, renders: Renders) -> None:
    kept = kept_groups("seg", "face")
    same = {metric.name: metric for metric in judge.diversity([renders.pictures] * 3, kept)}
    assert same["diversity_rendered"].value == pytest.approx(0, abs=1e-6)
    assert same["parser_miou_styled"].value == pytest.approx(same["parser_miou_styled"].floor)
    other = {metric.name: metric for metric in judge.diversity([renders.pictures, shuffled(renders.pictures)], kept)}
    assert other["diversity_rendered"].value == pytest.approx(1, abs=1e-4)
    free = other["diversity_rendered"].details["deviation_of_free_factors"]
    assert "skin_tone" in free and "yaw" not in free


def test_shuffling_leaves_nothing_in_place() -> None:
    for count in (2, 3, 24, 25):
        values = torch.arange(count)
        assert not bool((shuffled(values) == values).any()) and sorted(shuffled(values).tolist()) == values.tolist()


def test_factors_are_read_off_outputs_that_are_no_faces(judge: PictureJudge, renders: Renders) -> None:
    labels = renders.labels[:, None]
    kept = kept_groups("face", "seg")
    metric = judge.read_factors("seg", labels, labels, 64, kept)
    assert metric is not None and metric.value == pytest.approx(metric.floor) and metric.chance < metric.value - 0.3
    assert metric.extractor.name == "rendered-faces-r1-readers"
    assert judge.read_factors("depth", labels, labels, 64, kept) is None
