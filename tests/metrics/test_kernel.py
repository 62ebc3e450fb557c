from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anchor_hub.errors import DataError
from anchor_hub.evaluation.rows import Rows
from anchor_hub.metrics.kernel import kernel_distance, subset_plan

pytest.importorskip("torchmetrics", exc_type=Exception)


def features(count: int, seed: int, size: int = 8) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Same(nn.Module):
    """An extractor for torchmetrics whose pictures are features already."""

    num_features = 8

    def forward(self, rows: Tensor) -> Tensor:
        return rows


def test_known_answer_of_two_points_each() -> None:
    # Kernel (x.y / D + 1)^3 with D = 1: real {0, 1}, fake {2, 3}.
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    # Within real: k(0,1) = 1; within fake: k(2,3) = 343; across: 1, 1, 27, 64. MMD^2 = 1 + 343 - 2 * 93 / 4.
    mean, deviation = kernel_distance(real, fake, subsets=3, subset_size=2)
    assert mean == pytest.approx(344 - 46.5, rel=1e-12) and deviation == pytest.approx(0, abs=1e-9)
    # Symmetric, and unbiased: of one set with itself it falls below 0.
    assert kernel_distance(fake, real, subsets=1, subset_size=2)[0] == pytest.approx(297.5)
    assert kernel_distance(real, real, subsets=1, subset_size=2)[0] == pytest.approx(2 * 1 - 2 * (1 + 1 + 1 + 8) / 4)


def test_it_is_torchmetrics_number() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    real, fake = features(60, 1), features(50, 2) * 1.5 + 0.3
    theirs = KernelInceptionDistance(feature=Same(), subsets=5, subset_size=20)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        wanted: Any = theirs.compute()
    found = kernel_distance(real, fake, subsets=5, subset_size=20, seed=7)
    assert found == pytest.approx([float(value) for value in wanted], rel=1e-9)
    assert kernel_distance(real, fake, subsets=5, subset_size=20, seed=8) != found


def test_arrays_on_disk_give_the_same(tmp_path: Any) -> None:
    real, fake = features(30, 1).float(), features(40, 2).float()
    stored = np.memmap(tmp_path / "rows", dtype="<f4", mode="w+", shape=(30, 8))
    stored[:] = real.numpy()
    options: dict[str, Any] = {"subsets": 4, "subset_size": 10, "seed": 3}
    wanted = kernel_distance(real, fake, **options)
    assert kernel_distance(stored, fake.numpy(), **options) == wanted
    rows = Rows(tmp_path / "streamed", 8, torch.float32)
    rows.append(fake)
    assert kernel_distance(stored, rows, **options) == wanted


def test_far_sets_are_farther() -> None:
    near = kernel_distance(features(50, 1), features(50, 2), subsets=10, subset_size=25)[0]
    far = kernel_distance(features(50, 1), features(50, 2) + 1, subsets=10, subset_size=25)[0]
    assert abs(near) < 0.3 < 1 < far and math.isfinite(far)


def test_subset_plan() -> None:
    assert subset_plan(50_000, 50_000) == (100, 1000)
    assert subset_plan(300, 500) == (100, 300)
    assert subset_plan(300, 300) == (1, 300)
    assert subset_plan(1000, 1000) == (1, 1000)


def test_too_few() -> None:
    with pytest.raises(DataError, match="subsets of 20.*10 and 30"):
        kernel_distance(features(10, 1), features(30, 2), subset_size=20)
    with pytest.raises(DataError, match="at least 2"):
        kernel_distance(features(1, 1), features(1, 2), subset_size=1)
