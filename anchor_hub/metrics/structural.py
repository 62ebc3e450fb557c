"""SSIM (Wang et al. 2004) of pictures and their truth, through torchmetrics."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.metrics.image import as_pair
from anchor_hub.metrics.inception import missing_library

#: Sides must be larger than the padding of the Gaussian window.
MIN_SIDE = 6
SETTINGS = {"window": "gaussian 11x11, sigma 1.5", "k1": 0.01, "k2": 0.03, "data_range": 1.0, "channels": "averaged"}


def load_ssim() -> Any:
    """torchmetrics' SSIM function. :raises DataError: torchmetrics cannot be imported."""
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except Exception as error:
        raise DataError(missing_library("torchmetrics", error)) from error
    return structural_similarity_index_measure


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """SSIM of each picture ``[B]``, at most 1, float64, of uint8 ``[B, C, H, W]``; symmetric; 1 for equal pictures.

    :raises DataError: other shapes, or sides below 6 pixels.
    """
    one, other = as_pair(first, second)
    if min(first.shape[-2:]) < MIN_SIDE:
        raise DataError(f"SSIM needs pictures of at least {MIN_SIDE} pixels a side; enlarge them first")
    return load_ssim()(one, other, data_range=1.0, reduction="none").reshape(len(first))
