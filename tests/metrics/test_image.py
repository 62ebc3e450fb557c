from __future__ import annotations

import math

import pytest
import torch

from anchor_hub.errors import DataError
from anchor_hub.metrics.image import l1, l2, psnr


def test_numbers_worked_out_by_hand() -> None:
    black = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    other = black.clone()
    other[0] = 255
    other[1] = 51  # a fifth of the range
    assert l1(black, other).tolist() == pytest.approx([1.0, 0.2])
    # -10 log10(1) and -10 log10(0.04)
    assert psnr(black, other).tolist() == pytest.approx([0.0, 13.9794], abs=1e-4)
    assert psnr(black, black).tolist() == [math.inf, math.inf]


def test_wrong_calls() -> None:
    picture = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(DataError, match="not"):
        l1(picture, picture[..., :3])
    with pytest.raises(DataError, match="uint8"):
        psnr(picture.float(), picture.float())


def test_squared_error_by_hand() -> None:
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    half = black.clone()
    half[..., :2] = 255
    assert l2(black, half).tolist() == [0.5] and l2(half, black).tolist() == [0.5]
