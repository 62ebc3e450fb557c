from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anchor_hub.errors import DataError
from anchor_hub.metrics.segmentation import ConfusionMatrix


def maps(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.uint8)[None, None]


def test_numbers_worked_out_by_hand() -> None:
    confusion = ConfusionMatrix(4)
    confusion.update(predicted=maps([0, 0, 1, 1], [2, 1, 1, 0]), truth=maps([0, 0, 1, 1], [1, 1, 0, 0]))
    # truth 0: 4 pixels, 3 of them predicted 0, 1 predicted 1; truth 1: 4 pixels, 3 right, 1 predicted 2.
    assert confusion.matrix.tolist() == [[3, 1, 0, 0], [0, 3, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert confusion.pixel_accuracy() == 6 / 8
    iou = confusion.iou().tolist()
    assert iou[:3] == [3 / 4, 3 / 5, 0.0] and math.isnan(iou[3])
    # Class 2 was predicted and is nowhere true: it counts, as 0. Class 3 is nowhere: it does not.
    assert confusion.mean_iou() == pytest.approx((3 / 4 + 3 / 5 + 0) / 3)
    assert confusion.as_dict(["a", "b", "c", "d"])["iou"] == {"a": 0.75, "b": 0.6, "c": 0.0, "d": None}


def test_perfect_and_utterly_wrong() -> None:
    perfect, wrong = ConfusionMatrix(2), ConfusionMatrix(2)
    perfect.update(maps([0, 1]), maps([0, 1]))
    wrong.update(maps([1, 0]), maps([0, 1]))
    assert (perfect.mean_iou(), perfect.pixel_accuracy()) == (1, 1)
    assert (wrong.mean_iou(), wrong.pixel_accuracy()) == (0, 0)


def test_nothing_counted_is_not_zero() -> None:
    empty = ConfusionMatrix(3)
    assert math.isnan(empty.mean_iou()) and math.isnan(empty.pixel_accuracy())
    assert empty.as_dict() == {"pixels": 0, "pixel_accuracy": None, "mean_iou": None, "iou": dict.fromkeys("012")}


def test_ignored_pixels_count_nowhere() -> None:
    confusion = ConfusionMatrix(2, ignore=255)
    confusion.update(maps([0, 1, 1]), maps([0, 1, 255]))
    assert confusion.pixels == 2 and confusion.mean_iou() == 1


def test_int16_ids() -> None:
    confusion = ConfusionMatrix(300)
    ids = torch.tensor([[299, 5]], dtype=torch.int16)
    confusion.update(ids, ids)
    assert confusion.matrix[299, 299] == 1


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (maps([0, 1]), maps([0, 1, 1]), "cannot be compared"),
        (maps([0, 2]), maps([0, 1]), "predicted class 2"),
        (maps([0, 1]), maps([0, 7]), "true class 7"),
        (maps([0, 1]).float(), maps([0, 1]), "argmax"),
        (maps([0, 1]).short() - 1, maps([0, 1]), "predicted class -1"),
    ],
)
def test_wrong_calls(predicted: torch.Tensor, truth: torch.Tensor, message: str) -> None:
    confusion = ConfusionMatrix(2)
    with pytest.raises(DataError, match=message):
        confusion.update(predicted, truth)
    assert confusion.pixels == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60), st.integers(1, 59))
def test_cutting_into_batches_changes_nothing(pairs: list[tuple[int, int]], cut: int) -> None:
    predicted, truth = torch.tensor(pairs, dtype=torch.uint8).T
    whole, parts = ConfusionMatrix(5), ConfusionMatrix(5)
    whole.update(predicted, truth)
    parts.update(predicted[:cut], truth[:cut])
    parts.update(predicted[cut:], truth[cut:])
    assert torch.equal(whole.matrix, parts.matrix)
    assert 0 <= whole.mean_iou() <= 1
    # Brute force, class by class.
    for label in range(5):
        union = int(((predicted == label) | (truth == label)).sum())
        both = int(((predicted == label) & (truth == label)).sum())
        found = float(whole.iou()[label])
        assert math.isnan(found) if union == 0 else found == pytest.approx(both / union)
