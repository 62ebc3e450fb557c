from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchor_hub.errors import DataError
from anchor_hub.metrics.frechet import FeatureStatistics, frechet_distance, frechet_of


def statistics(features: torch.Tensor, batch: int = 10_000) -> FeatureStatistics:
    found = FeatureStatistics()
    for part in features.split(batch):
        found.update(part)
    return found


def exactly(mean: list[float], deviations: list[float]) -> torch.Tensor:
    """Features whose mean and diagonal covariance are exactly these: two points on each axis."""
    size = len(mean)
    # Deviation s on an axis: 2 * size points of which two lie at +-s * sqrt((2 size - 1) / 2).
    reach = torch.tensor(deviations, dtype=torch.float64) * ((2 * size - 1) / 2) ** 0.5
    axes = torch.diag(reach)
    return torch.cat([axes, -axes]) + torch.tensor(mean, dtype=torch.float64)


def test_known_answer_of_two_diagonal_gaussians() -> None:
    first = statistics(exactly([0, 0, 0], [1, 2, 3]))
    second = statistics(exactly([1, 2, 2], [2, 2, 5]))
    assert torch.allclose(first.covariance, torch.diag(torch.tensor([1.0, 4.0, 9.0]).double()))
    # |m1 - m2|^2 + sum (s1 - s2)^2 = 9 + (1 + 0 + 4)
    assert frechet_distance(first, second) == pytest.approx(14, rel=1e-9)
    assert frechet_distance(second, first) == pytest.approx(14, rel=1e-9)


def test_rotated_gaussians_against_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(1)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    first = statistics(exactly([0, 0, 0], [1, 2, 3]) @ rotation)
    second = statistics(exactly([1, 2, 2], [2, 2, 5]) @ rotation)
    assert frechet_distance(first, second) == pytest.approx(14, rel=1e-9)


def test_covariances_that_do_not_commute() -> None:
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    b = torch.randn(60, 4, generator=generator, dtype=torch.float64) @ torch.randn(
        4, 4, generator=generator, dtype=torch.float64
    )
    first, second = statistics(a), statistics(b)
    # The definition, by the eigenvalues of the unsymmetric product.
    eigenvalues = torch.linalg.eigvals(first.covariance @ second.covariance).real.clamp_min(0)
    wanted = (first.mean - second.mean).square().sum() + first.covariance.trace() + second.covariance.trace()
    wanted = wanted - 2 * eigenvalues.sqrt().sum()
    assert frechet_distance(first, second) == pytest.approx(float(wanted), rel=1e-9)


def test_fewer_pictures_than_dimensions() -> None:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(5, 40, generator=generator)
    assert frechet_distance(statistics(features), statistics(features)) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(statistics(features), statistics(features + 1)) == pytest.approx(40, rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(1, 17), st.floats(-1e6, 1e6))
def test_batches_and_a_distant_mean_change_nothing(count: int, batch: int, offset: float) -> None:
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    whole, parts = statistics(features), statistics(features + offset, batch)
    assert parts.count == count
    assert torch.allclose(parts.mean - offset, features.mean(0), atol=1e-8)
    assert torch.allclose(parts.covariance, torch.cov(features.T), atol=1e-7)
    assert torch.allclose(whole.covariance, torch.cov(features.T), atol=1e-12)


def test_wrong_calls() -> None:
    with pytest.raises(DataError, match="at least two"):
        frechet_distance(statistics(torch.zeros(1, 2)), statistics(torch.zeros(3, 2)))
    with pytest.raises(DataError, match="dimensions"):
        frechet_distance(statistics(torch.zeros(3, 2)), statistics(torch.zeros(3, 4)))
    with pytest.raises(DataError, match="NaN"):
        FeatureStatistics().update(torch.full((2, 2), torch.nan))
    with pytest.raises(DataError, match=r"\[B, 2\]"):
        found = statistics(torch.zeros(3, 2))
        found.update(torch.zeros(3, 4))
    with pytest.raises(DataError, match=r"\[B, D\]"):
        FeatureStatistics().update(torch.zeros(3))


class Same(torch.nn.Module):
    """An extractor for torchmetrics whose pictures are features already."""

    num_features = 6

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows


def test_it_is_the_libraries_number() -> None:
    generator = torch.Generator().manual_seed(4)
    first = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    second = first[:150] @ torch.randn(6, 6, generator=generator, dtype=torch.float64) + 0.5
    found = frechet_distance(statistics(first, 7), statistics(second, 64))
    metrics = pytest.importorskip("torchmetrics.image.fid", exc_type=Exception)
    theirs = metrics.FrechetInceptionDistance(feature=Same())
    theirs.update(first, real=True)
    theirs.update(second, real=False)
    assert found == pytest.approx(float(theirs.compute()), rel=1e-6)
    fidelity = pytest.importorskip("torch_fidelity.metric_fid", exc_type=Exception)
    tables = [{"mu": rows.mean(0).numpy(), "sigma": torch.cov(rows.T).numpy()} for rows in (first, second)]
    wanted = fidelity.fid_statistics_to_metric(*tables, verbose=False)["frechet_inception_distance"]
    assert found == pytest.approx(float(wanted), rel=1e-6)


def test_few_features_of_many_dimensions_have_the_same_distance_in_less_time() -> None:
    draws = torch.Generator().manual_seed(0)
    for first, second, dimensions in ((5, 9, 20), (40, 30, 6), (2, 2, 3)):
        sets = [torch.randn(count, dimensions, generator=draws) + count / 10 for count in (first, second)]
        statistics = [FeatureStatistics(), FeatureStatistics()]
        for held, features in zip(statistics, sets, strict=True):
            held.update(features)
        assert frechet_of(*sets) == pytest.approx(frechet_distance(*statistics), rel=1e-5)
    assert frechet_of(sets[0], sets[0]) == pytest.approx(0, abs=1e-9)
    with pytest.raises(DataError, match="cannot be compared"):
        frechet_of(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(DataError, match="at least two"):
        frechet_of(torch.zeros(1, 2), torch.zeros(3, 2))
