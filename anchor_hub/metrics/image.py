"""Pictures against their truth: PSNR, mean absolute and mean squared error."""

from __future__ import annotations

import torch
from torch import Tensor

from anchor_hub.errors import DataError


def as_pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float64 in [0, 1] on the CPU. :raises DataError: they are not uint8 ``[B, C, H, W]`` of one shape."""
    if first.shape != second.shape or first.ndim != 4:
        raise DataError(f"pictures are compared as [B, C, H, W], not {list(first.shape)} with {list(second.shape)}")
    if first.dtype != torch.uint8 or second.dtype != torch.uint8:
        raise DataError(f"pictures are compared as uint8, not {first.dtype} and {second.dtype}")
    return first.cpu().double() / 255, second.cpu().double() / 255


def l1(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of each picture ``[B]``, 0 to 1, float64, of uint8 ``[B, C, H, W]``."""
    one, other = as_pair(first, second)
    return (one - other).abs().flatten(1).mean(1)


def l2(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference of each picture ``[B]``, 0 to 1, float64, of uint8 ``[B, C, H, W]``."""
    one, other = as_pair(first, second)
    return (one - other).square().flatten(1).mean(1)


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture ``[B]`` in dB, float64, of uint8 ``[B, C, H, W]``; infinite
    for equal pictures."""
    return -10 * l2(first, second).log10()
