from __future__ import annotations

import math

import pytest
import torch

from anchor_hub.errors import DataError
from anchor_hub.metrics.landmarks import LandmarkErrors, interocular_distance, point_distances


def face() -> torch.Tensor:
    points = torch.zeros(1, 68, 2)
    points[0, 36] = torch.tensor([10.0, 20.0])
    points[0, 45] = torch.tensor([40.0, 60.0])  # 30 to the right, 40 down: 50 apart
    return points


def test_numbers_worked_out_by_hand() -> None:
    truth = face()
    predicted = truth + torch.tensor([3.0, 4.0])  # every point 5 px away
    errors = LandmarkErrors()
    errors.update(predicted, truth)
    assert errors.mean_error() == pytest.approx(5)
    assert errors.normalised_mean_error() == pytest.approx(5 / 50)
    assert torch.allclose(errors.by_point(), torch.full((68,), 5.0, dtype=torch.float64))
    assert interocular_distance(truth).item() == pytest.approx(50)


def test_faces_weigh_alike_in_whatever_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(7, 68, 2, generator=generator) * 64
    predicted = truth + torch.randn(7, 68, 2, generator=generator)
    whole, parts = LandmarkErrors(), LandmarkErrors()
    whole.update(predicted, truth)
    for part in (slice(0, 1), slice(1, 5), slice(5, 7)):
        parts.update(predicted[part], truth[part])
    assert whole.mean_error() == pytest.approx(parts.mean_error())
    assert whole.mean_error() == pytest.approx((predicted - truth).norm(dim=-1).mean().item(), rel=1e-5)
    by_face = (predicted - truth).norm(dim=-1).mean(1) / (truth[:, 36] - truth[:, 45]).norm(dim=-1)
    assert parts.normalised_mean_error() == pytest.approx(by_face.mean().item(), rel=1e-5)


def test_without_eyes() -> None:
    errors = LandmarkErrors(corners=None)
    errors.update(torch.zeros(2, 5, 2), torch.ones(2, 5, 2))
    assert errors.as_dict() == {"faces": 2, "mean_error_px": pytest.approx(2**0.5)}
    assert math.isnan(errors.normalised_mean_error())
    assert math.isnan(LandmarkErrors().mean_error())


def test_wrong_calls() -> None:
    with pytest.raises(DataError, match=r"\[B, N, 2\]"):
        point_distances(torch.zeros(1, 68, 2), torch.zeros(1, 67, 2))
    with pytest.raises(DataError, match="NaN"):
        point_distances(torch.full((1, 2, 2), torch.nan), torch.zeros(1, 2, 2))
    with pytest.raises(DataError, match="coincide"):
        LandmarkErrors().update(face(), torch.zeros(1, 68, 2))
    with pytest.raises(DataError, match="there are only 5"):
        LandmarkErrors().update(torch.zeros(1, 5, 2), torch.zeros(1, 5, 2))
    with pytest.raises(DataError, match="no landmarks"):
        LandmarkErrors().by_point()
