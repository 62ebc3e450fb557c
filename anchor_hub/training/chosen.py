"""Some samples of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from anchor_hub.training.base import Samples


class _Rows(Sequence[Any]):
    """Some rows of a sequence, read when they are asked for."""

    def __init__(self, rows: Sequence[Any], places: Sequence[int]) -> None:
        self.rows, self.places = rows, list(places)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[self.places[index]]


def chosen_samples(samples: Samples, places: Sequence[int]) -> Samples:
    """The samples at these places, in this order, with their labels."""
    index, rows = torch.tensor(places, dtype=torch.long), samples.rows
    labels = None if samples.labels is None else samples.labels[index]
    return replace(samples, rows=rows[index] if isinstance(rows, Tensor) else _Rows(rows, places), labels=labels)
