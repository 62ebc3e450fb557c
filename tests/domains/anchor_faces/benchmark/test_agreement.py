"""Agreement of factors: cases whose answer is known by hand."""

from __future__ import annotations

import pytest
import torch

from anchor_faces.benchmark.agreement import (
    balanced_accuracy,
    cohens_kappa,
    correlation,
    factor_score,
    factor_scores,
    r_squared,
)
from anchor_faces.benchmark.factor_groups import (
    FACTOR_WIDTH,
    FLAG,
    GROUPS,
    JUDGED,
    STYLE,
    JudgedFactor,
    factor_matrix,
    kept_groups,
)
from anchor_faces.rendering import FACTOR_NAMES, HAIR_STYLES, sample_factors

NAN = float("nan")


def test_r_squared_is_the_share_of_the_truths_variance() -> None:
    truth = torch.tensor([1.0, 2, 3, 4])
    assert r_squared(truth, truth) == 1
    assert r_squared(torch.full((4,), 2.5), truth) == 0
    # Errors of 1 each: 1 - 4 / 5.
    assert r_squared(truth + 1, truth) == pytest.approx(0.2)
    # Found and true are no equals: the spread is the truth's.
    assert r_squared(truth * 2, truth) == pytest.approx(1 - 30 / 5)
    assert r_squared(truth, truth * 2) == pytest.approx(1 - 30 / 20)
    assert r_squared(truth, torch.ones(4)) is None


def test_correlation_knows_neither_scale_nor_offset() -> None:
    truth = torch.tensor([0.0, 1, 2, 3])
    assert correlation(5 - 2 * truth, truth) == pytest.approx(-1)
    assert correlation(torch.tensor([0.0, 1, 1, 0]), truth) == pytest.approx(0, abs=1e-12)
    assert correlation(torch.ones(4), truth) == 0
    assert correlation(truth, torch.ones(4)) is None


def test_kappa_is_agreement_beyond_chance() -> None:
    truth = torch.tensor([0, 0, 1, 1])
    assert cohens_kappa(truth, truth, 3) == pytest.approx(1)
    assert cohens_kappa(torch.tensor([0, 1, 0, 1]), truth, 3) == pytest.approx(0)
    # Three of four right, chance 1/2: (0.75 - 0.5) / 0.5.
    assert cohens_kappa(torch.tensor([0, 0, 1, 0]), truth, 3) == pytest.approx(0.5)
    assert cohens_kappa(torch.zeros(4), torch.zeros(4), 3) is None


def test_balanced_accuracy_does_not_reward_saying_no() -> None:
    truth = torch.tensor([1.0, 0, 0, 0])
    assert balanced_accuracy(torch.zeros(4), truth) == 0.5
    assert balanced_accuracy(torch.tensor([0.6, 0.4, 0.4, 0.9]), truth) == pytest.approx((1 + 2 / 3) / 2)
    assert balanced_accuracy(truth, torch.zeros(4)) is None


def test_hidden_factors_count_nowhere() -> None:
    found, truth = torch.tensor([1.0, 2, 3, 50]), torch.tensor([1.0, 2, 3, NAN])
    score = factor_score(JudgedFactor("yaw", "pose"), found, truth)
    assert score == {"measure": "R2", "score": 1.0, "agreement": pytest.approx(1), "samples": 3}
    assert factor_score(JudgedFactor("x", "y", FLAG), found, truth * NAN)["score"] is None


def test_every_judged_factor_is_the_renderers() -> None:
    assert {factor.name for factor in JUDGED} <= set(FACTOR_NAMES)
    assert {factor.group for factor in JUDGED} == set(GROUPS)
    assert sum(factor.width for factor in JUDGED) == FACTOR_WIDTH
    rows = [sample_factors(0, index) for index in range(40)]
    matrix = factor_matrix(rows)
    names = [factor.name for factor in JUDGED]
    for row, values in zip(rows, matrix.tolist(), strict=True):
        assert HAIR_STYLES[int(values[names.index("hair_style")])] == row["hair_style"]
        assert values[names.index("yaw")] == pytest.approx(row["yaw"])
        dark = bool(row["glasses"] and row["sunglasses"])
        assert values[names.index("sunglasses")] == dark
        assert (values[names.index("left_eye_open")] != values[names.index("left_eye_open")]) == dark
    scores = factor_scores(matrix, matrix)
    assert all(row["agreement"] in (None, pytest.approx(1)) for row in scores.values())
    assert [row["measure"] for row in scores.values()].count("accuracy") == sum(f.kind == STYLE for f in JUDGED)


def test_what_a_translation_must_keep() -> None:
    assert kept_groups("face", "face") == GROUPS
    assert "appearance" not in kept_groups("seg", "face") and "glasses" in kept_groups("seg", "face")
    assert kept_groups("landmark", "face") == kept_groups("face", "landmark") == ("pose", "expression", "shape")
    assert kept_groups("dog", "face") == ()
