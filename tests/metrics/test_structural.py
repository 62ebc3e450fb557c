from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.metrics.structural import ssim

pytest.importorskip("torchmetrics", exc_type=Exception)


def pictures(seed: int, side: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8, generator=generator)


def test_known_answers() -> None:
    one = pictures(1)
    assert torch.allclose(ssim(one, one), torch.ones(3, dtype=torch.float64), atol=1e-12)
    # Flat pictures have no variance: only the luminance term is left, (2 ab + c1) / (a^2 + b^2 + c1).
    black, grey = torch.zeros(1, 3, 16, 16, dtype=torch.uint8), torch.full((1, 3, 16, 16), 51, dtype=torch.uint8)
    assert float(ssim(black, grey)) == pytest.approx(1e-4 / (0.2**2 + 1e-4), rel=1e-9)
    # Inverted texture is anti-correlated.
    assert bool((ssim(one, 255 - one) < 0).all())


def test_order_and_range() -> None:
    one, other = pictures(1), pictures(2)
    assert torch.allclose(ssim(one, other), ssim(other, one), atol=1e-12)
    slightly = (one.int() + 3).clamp(0, 255).to(torch.uint8)
    assert bool((ssim(one, slightly) > ssim(one, other)).all()) and bool((ssim(one, other).abs() <= 1).all())


def test_it_is_torchmetrics_number() -> None:
    from torchmetrics.image import StructuralSimilarityIndexMeasure

    one, other = pictures(1, 32), pictures(2, 32)
    theirs = StructuralSimilarityIndexMeasure(data_range=1.0)
    wanted = float(theirs(one.double() / 255, other.double() / 255))
    assert float(ssim(one, other).mean()) == pytest.approx(wanted, abs=1e-9)


def test_wrong_pictures() -> None:
    with pytest.raises(DataError, match="at least 6"):
        ssim(pictures(1, 5), pictures(2, 5))
    with pytest.raises(DataError, match="uint8"):
        ssim(pictures(1).float(), pictures(1).float())


def test_a_missing_torchmetrics_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(DataError, match=r"torchmetrics cannot be used.*anchor-hub\[metrics\]"):
        ssim(pictures(1), pictures(1))
