from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.metrics.classifiers import Blocks, FeatureClassifier


def blocks(features: Tensor, classes: Tensor, size: int = 16) -> Blocks:
    def each() -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(features.split(size), classes.split(size), strict=True)

    return each


def clusters(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Three classes a long way apart in two of five dimensions; one dimension is constant."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(count) % 3
    centres = torch.tensor([[0.0, 0, 0, 0, 7], [10, 0, 0, 0, 7], [0, 10, 0, 0, 7]])
    noise = torch.randn(count, 5, generator=generator) * torch.tensor([1, 1, 1, 1, 0.0])
    return centres[classes] + noise, classes


def test_classes_far_apart_are_told_apart() -> None:
    classifier = FeatureClassifier(3).fit(blocks(*clusters(60, 0)))
    assert classifier.accuracy(blocks(*clusters(300, 1))) == 1.0


def test_wrong_labels_score_nothing_and_random_ones_chance() -> None:
    classifier = FeatureClassifier(3).fit(blocks(*clusters(60, 0)))
    features, classes = clusters(300, 1)
    assert classifier.accuracy(blocks(features, (classes + 1) % 3)) == 0.0
    shuffled = classes[torch.randperm(300, generator=torch.Generator().manual_seed(2))]
    assert classifier.accuracy(blocks(features, shuffled)) == pytest.approx(1 / 3, abs=0.08)


def test_blocks_change_nothing() -> None:
    features, classes = clusters(60, 0)
    one = FeatureClassifier(3).fit(blocks(features, classes, 7))
    other = FeatureClassifier(3).fit(blocks(features, classes, 60))
    assert torch.allclose(one.weight, other.weight, atol=1e-6)


def test_wrong_calls() -> None:
    with pytest.raises(DataError, match="two classes"):
        FeatureClassifier(1)
    with pytest.raises(DataError, match="no pictures"):
        FeatureClassifier(2).fit(lambda: iter(()))
