"""Landmarks against the truth: mean distance in pixels, and divided by the distance of the eyes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError

#: Outer corners of both eyes among the 68 points of dlib and iBUG, counted from 0.
OUTER_EYE_CORNERS = (36, 45)


def point_distances(predicted: Tensor, truth: Tensor) -> Tensor:
    """Euclidean distances ``[B, N]`` of points ``[B, N, 2]``, float64, in the points' own unit (pixels).

    :raises DataError: the shapes differ or are not ``[B, N, 2]``, or a coordinate is NaN or infinite.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3 or predicted.shape[-1] != 2:
        raise DataError(f"landmarks are [B, N, 2] on both sides, not {list(predicted.shape)} and {list(truth.shape)}")
    difference = predicted.detach().double().cpu() - truth.detach().double().cpu()
    if not bool(torch.isfinite(difference).all()):
        raise DataError("a landmark is NaN or infinite and cannot be compared")
    return difference.square().sum(-1).sqrt()


def interocular_distance(points: Tensor, corners: tuple[int, int] = OUTER_EYE_CORNERS) -> Tensor:
    """Distance ``[B]`` between the outer eye corners of points ``[B, N, 2]``, float64."""
    if points.shape[-2] <= max(corners):
        raise DataError(
            f"the distance of the eyes needs points {corners[0]} and {corners[1]}; there are only {points.shape[-2]}"
        )
    left, right = points[:, corners[0]].double(), points[:, corners[1]].double()
    return (left - right).square().sum(-1).sqrt().cpu()


def true_eye_distance(points: Tensor, corners: tuple[int, int] = OUTER_EYE_CORNERS) -> Tensor:
    """Distance ``[B]`` between the outer eye corners of true points, by which errors are divided: above 0.

    :raises DataError: see :func:`interocular_distance`; or the corners of a face coincide.
    """
    eyes = interocular_distance(points, corners)
    if bool((eyes <= 0).any()):
        raise DataError("the eye corners of a true face coincide: its error cannot be normalised")
    return eyes


class LandmarkErrors:
    """Collects the errors of many faces, batch by batch.

    :param corners: the two points whose true distance normalises a face's error; ``None``: do not normalise.
    """

    def __init__(self, corners: tuple[int, int] | None = OUTER_EYE_CORNERS) -> None:
        self.corners = corners
        self.faces = 0
        self._pixels = self._normalised = 0.0
        self._by_point: Tensor | None = None

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add points ``[B, N, 2]`` in pixels.

        :raises DataError: see :func:`point_distances`; or a true face whose eye corners coincide.
        """
        distances = point_distances(predicted, truth)
        if self.corners is not None:
            self._normalised += float((distances.mean(1) / true_eye_distance(truth, self.corners)).sum())
        self._pixels += float(distances.mean(1).sum())
        summed = distances.sum(0)
        self._by_point = summed if self._by_point is None else self._by_point + summed
        self.faces += len(truth)

    def mean_error(self) -> float:
        """Mean distance over all points and faces, in pixels; NaN before the first face."""
        return self._pixels / self.faces if self.faces else float("nan")

    def normalised_mean_error(self) -> float:
        """Mean over the faces of (mean distance / true distance of the eyes' outer corners); NaN without faces, or
        without ``corners``."""
        return self._normalised / self.faces if self.faces and self.corners is not None else float("nan")

    def by_point(self) -> Tensor:
        """Mean distance of each point over the faces, float64 ``[N]``, in pixels."""
        if self._by_point is None:
            raise DataError("no landmarks were compared yet")
        return self._by_point / self.faces

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-able numbers."""
        table: dict[str, Any] = {
            "faces": self.faces,
            "mean_error_px": self.mean_error() if self.faces else None,
        }
        if self.corners is not None:
            table["normalised_mean_error"] = self.normalised_mean_error() if self.faces else None
        return table
