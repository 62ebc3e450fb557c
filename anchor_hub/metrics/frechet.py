"""The Fréchet distance of two sets of features, both taken as Gaussian (Heusel et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from anchor_hub.errors import DataError


class FeatureStatistics:
    """Mean and covariance of feature vectors, collected batch by batch in float64.

    Batches are merged as Chan, Golub and LeVeque do: no digits cancel, however far the mean lies from 0, and the result
    does not depend on how the features are cut into batches, up to rounding.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = torch.zeros(0, dtype=torch.float64)
        self._scatter = torch.zeros(0, 0, dtype=torch.float64)

    def update(self, features: Tensor) -> None:
        """Add features ``[B, D]``. :raises DataError: D differs from before, or a feature is NaN or infinite."""
        if features.ndim != 2 or (self.count and features.shape[1] != len(self._mean)):
            wanted = len(self._mean) if self.count else "D"
            raise DataError(f"features must be [B, {wanted}], not {list(features.shape)}")
        values = features.detach().cpu().double()
        if not len(values):
            return
        if not bool(torch.isfinite(values).all()):
            raise DataError("a feature is NaN or infinite: a picture or the extractor is damaged")
        mean = values.mean(0)
        centred = values - mean
        scatter = centred.T @ centred
        if self.count == 0:
            self.count, self._mean, self._scatter = len(values), mean, scatter
            return
        total = self.count + len(values)
        step = mean - self._mean
        self._scatter = self._scatter + scatter + torch.outer(step, step) * (self.count * len(values) / total)
        self._mean = self._mean + step * (len(values) / total)
        self.count = total

    @property
    def mean(self) -> Tensor:
        """The mean, float64 ``[D]``."""
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """The covariance, float64 ``[D, D]``, divided by count - 1. :raises DataError: fewer than two features."""
        if self.count < 2:
            raise DataError(f"a covariance needs at least two pictures, there are {self.count}")
        return self._scatter / (self.count - 1)


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """The Fréchet distance ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``: at least 0, and 0 for equal statistics.

    The trace of the root equals that of the symmetric ``(C1^(1/2) C2 C1^(1/2))^(1/2)``, computed from eigenvalues,
    which also works with fewer pictures than dimensions. The distance falls with the number of pictures: compare only
    distances over equally many pictures.

    :raises DataError: fewer than two features on a side, or the dimensions differ.
    """
    if first.mean.shape != second.mean.shape:
        raise DataError(f"features of {len(first.mean)} and {len(second.mean)} dimensions cannot be compared")
    values, vectors = torch.linalg.eigh(first.covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    product = root @ second.covariance @ root
    shared = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    offset = (first.mean - second.mean).square().sum()
    distance = offset + first.covariance.trace() + second.covariance.trace() - 2 * shared
    return max(0.0, float(distance))


def frechet_of(first: Tensor, second: Tensor) -> float:
    """The same distance of features ``[N, D]`` and ``[M, D]``, in less time where N or M is far below D.

    With centred features X and Y the trace of the root is the nuclear norm of ``X Y^T``, over the root of the product
    of both sides' degrees of freedom.

    :raises DataError: fewer than two features on a side, or the dimensions differ.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DataError(f"features {list(first.shape)} and {list(second.shape)} cannot be compared")
    sides = [side.detach().cpu().double() for side in (first, second)]
    if min(map(len, sides)) < 2:
        raise DataError("a covariance needs at least two pictures on each side")
    means = [side.mean(0) for side in sides]
    x, y = ((side - mean) / (len(side) - 1) ** 0.5 for side, mean in zip(sides, means, strict=True))
    shared = torch.linalg.svdvals(x @ y.T).sum()
    distance = (means[0] - means[1]).square().sum() + x.square().sum() + y.square().sum() - 2 * shared
    return max(0.0, float(distance))
