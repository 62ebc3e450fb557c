"""Label maps against the truth: pixel accuracy, IoU of each class, mean IoU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError


class ConfusionMatrix:
    """Counts pixels by (true class, predicted class), batch by batch; integers keep any count exact.

    Example::

        confusion = ConfusionMatrix(19)
        confusion.update(predicted, truth)      # uint8 [B, 1, H, W] each, as often as needed
        confusion.mean_iou()

    :param classes: ids are 0 to ``classes - 1``.
    :param ignore: true class whose pixels are not counted (the id may lie outside the classes, e.g. 255).
    """

    def __init__(self, classes: int, *, ignore: int | None = None) -> None:
        if classes < 1:
            raise DataError(f"a confusion matrix needs at least one class, not {classes}")
        self.classes, self.ignore = classes, ignore
        #: int64 ``[classes, classes]``: row is the true class, column the predicted one.
        self.matrix = torch.zeros(classes, classes, dtype=torch.int64)

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add class ids, both of one shape and any integer type.

        :raises DataError: the shapes differ, or an id is no class.
        """
        if predicted.shape != truth.shape:
            raise DataError(f"label maps of {list(predicted.shape)} and {list(truth.shape)} cannot be compared")
        if predicted.dtype.is_floating_point or truth.dtype.is_floating_point:
            raise DataError("label maps hold class ids (integers); take the argmax of logits first")
        predicted, truth = predicted.flatten().long().cpu(), truth.flatten().long().cpu()
        if self.ignore is not None:
            counted = truth != self.ignore
            predicted, truth = predicted[counted], truth[counted]
        for name, ids in (("predicted", predicted), ("true", truth)):
            if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.classes:
                wrong = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
                raise DataError(f"{name} class {wrong} does not exist; classes are 0 to {self.classes - 1}")
        counts = torch.bincount(truth * self.classes + predicted, minlength=self.classes**2)
        self.matrix += counts.reshape(self.classes, self.classes)

    @property
    def pixels(self) -> int:
        """Pixels counted so far."""
        return int(self.matrix.sum())

    def pixel_accuracy(self) -> float:
        """Share of pixels of the right class, 0 to 1; NaN before the first pixel."""
        return self.matrix.diag().sum().item() / self.pixels if self.pixels else float("nan")

    def iou(self) -> Tensor:
        """Intersection over union of each class, float64 ``[classes]``; NaN where neither truth nor output has it."""
        hits = self.matrix.diag().double()
        union = self.matrix.sum(0) + self.matrix.sum(1) - self.matrix.diag()
        return torch.where(union > 0, hits / union.clamp_min(1), torch.nan)

    def mean_iou(self) -> float:
        """Mean IoU over the classes in the truth *or* the prediction; NaN before the first pixel.

        A class that is predicted but nowhere true counts as 0.
        """
        values = self.iou()
        return float(values[~values.isnan()].mean())

    def as_dict(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """All results as JSON-able numbers; a class in neither truth nor prediction has the IoU ``None``."""
        values = self.iou().tolist()
        keys = list(names) if names is not None else [str(index) for index in range(self.classes)]
        return {
            "pixels": self.pixels,
            "pixel_accuracy": self.pixel_accuracy() if self.pixels else None,
            "mean_iou": self.mean_iou() if self.pixels else None,
            "iou": {k: None if v != v else v for k, v in zip(keys, values, strict=True)},
        }
