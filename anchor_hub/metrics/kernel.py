"""The kernel distance of two sets of features (KID, Binkowski et al. 2018), with torchmetrics' estimator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.metrics.inception import missing_library

SUBSETS, SUBSET_SIZE = 100, 1000


def kernel_distance(
    real: Any, fake: Any, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy with the kernel ``(x.y / D + 1)^3``: mean and deviation over random subsets.

    The value is unscaled; papers print it times 1,000 or times 100. The estimate is unbiased: unlike the Fréchet
    distance it does not fall with the number of pictures, and it may lie slightly below 0.

    :param real: features ``[N, D]``: a tensor, or an object with a length whose ``real[numbers]`` gives rows (an array
        on disk, ``Rows``); memory holds only one subset of those.
    :param fake: likewise.
    :param seed: of the subsets; torchmetrics draws the same subsets after ``torch.manual_seed(seed)``.
    :raises DataError: fewer features than a subset holds, or torchmetrics cannot be imported.
    """
    try:
        from torchmetrics.image.kid import poly_mmd
    except Exception as error:
        raise DataError(missing_library("torchmetrics", error)) from error
    if min(len(real), len(fake)) < subset_size or subset_size < 2:
        raise DataError(
            f"the kernel distance draws subsets of {subset_size} pictures (at least 2), but the sets have {len(real)} "
            f"and {len(fake)}"
        )
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        chosen = [torch.randperm(len(rows), generator=generator)[:subset_size] for rows in (real, fake)]
        values.append(poly_mmd(_take(real, chosen[0]), _take(fake, chosen[1])))
    found = torch.stack(values)
    return float(found.mean()), float(found.std(unbiased=False))


def subset_plan(real: int, fake: int) -> tuple[int, int]:
    """(number of subsets, their size) for two sets of this many pictures.

    100 subsets of 1,000; where a set has fewer pictures, the largest possible size; a single subset where each would be
    the whole of both sets.
    """
    size = min(SUBSET_SIZE, real, fake)
    return (1 if real == fake == size else SUBSETS), size


def _take(rows: Any, chosen: Tensor) -> Tensor:
    part = rows[chosen] if isinstance(rows, Tensor) else torch.from_numpy(rows[chosen.numpy()])
    return part.double()
