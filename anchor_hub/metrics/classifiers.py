"""A linear classifier of features for ``rc_linear`` and ``fc_linear``: it takes the place of the network that DeepI2I
trains for RC and FC. It is quick, and as good as its features."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_hub.errors import DataError

#: A function whose every call gives the same blocks of features ``[B, D]`` with classes ``[B]``, in the same order.
Blocks = Callable[[], Iterator[tuple[Tensor, Tensor]]]
PENALTY, STEPS = 1e-2, 60
SETTINGS = {"classifier": "logistic regression on standardised features", "penalty": PENALTY, "steps": STEPS}


class FeatureClassifier:
    """Multinomial logistic regression on feature vectors, fitted in float64 over blocks in constant memory.

    It draws no random numbers: the same features give the same result.
    """

    def __init__(self, classes: int) -> None:
        if classes < 2:
            raise DataError(f"a classifier needs at least two classes, there are {classes}")
        self.classes = classes
        self.mean = self.scale = self.weight = self.bias = torch.zeros(0)

    def fit(self, blocks: Blocks) -> FeatureClassifier:
        """Fit to features and classes; returns the classifier itself. :raises DataError: there are no features."""
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for features, _ in blocks():
            values = features.double()
            count += len(values)
            total, squares = total + values.sum(0), squares + values.square().sum(0)
        if not count:
            raise DataError("there are no pictures to fit the classifier to")
        self.mean = total / count
        self.scale = (squares / count - self.mean.square()).clamp_min(0).sqrt().clamp_min(1e-6)
        size = len(self.mean)
        self.weight = torch.zeros(self.classes, size, dtype=torch.float64, requires_grad=True)
        self.bias = torch.zeros(self.classes, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([self.weight, self.bias], max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            penalty = 0.5 * PENALTY * self.weight.square().sum()
            penalty.backward()
            value = penalty.detach()
            for features, classes in blocks():
                loss = F.cross_entropy(self._logits(features), classes, reduction="sum") / count
                loss.backward()
                value = value + loss.detach()
            return value

        with torch.enable_grad():
            optimizer.step(closure)
        self.weight, self.bias = self.weight.detach(), self.bias.detach()
        return self

    def _logits(self, features: Tensor) -> Tensor:
        return F.linear((features.double() - self.mean) / self.scale, self.weight, self.bias)

    def accuracy(self, blocks: Blocks) -> float:
        """Share of features that get their true class, 0 to 1."""
        right = count = 0
        for features, classes in blocks():
            right += int((self._logits(features).argmax(1) == classes).sum())
            count += len(classes)
        return right / count if count else float("nan")
