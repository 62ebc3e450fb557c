"""A pass over samples, in order and in batches: threads read, the calling thread measures, files keep the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from anchor_hub.evaluation.rows import Rows
from anchor_hub.system.reading_ahead import ReadAhead

#: Number of samples that a network computes at once. The same samples always go together: convolutions round
#: differently in batches of another size, and results would depend on `--batch`.
COMPUTE = 8

ItemT = TypeVar("ItemT")
Read = TypeVar("Read")
Batch = TypeVar("Batch")


def rounded(batch: int) -> int:
    """``batch``, rounded up to a multiple of ``COMPUTE``."""
    return -(-batch // COMPUTE) * COMPUTE


def in_parts(compute: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """The results of ``compute`` in one tensor; it runs on ``COMPUTE`` samples at a time.

    :param given: tensors of one batch, whose first sample's number is a multiple of ``COMPUTE``.
    """
    return torch.cat([compute(*part) for part in zip(*(value.split(COMPUTE) for value in given), strict=True)])


def run_pass(
    items: Sequence[ItemT],
    read: Callable[[ItemT], Read],
    collate: Callable[[Sequence[Read]], Batch],
    measures: Sequence[tuple[Rows, Callable[[Batch], Tensor]]],
    *,
    batch: int,
    workers: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write one row per item into every rows file, in the items' order; skip items that all files already have.

    At most three batches are in memory. A resumed pass begins with the whole batch that it was stopped in, so that
    networks see the same samples together as without the stop.

    :param batch: number of items, rounded up, see :func:`rounded`.
    :param progress: called with the number of items done since the last call.
    """
    batch = rounded(batch)
    for rows, _ in measures:
        rows.trim(min(len(rows), len(items)))
    done = min((len(rows) for rows, _ in measures), default=len(items))
    start = done // batch * batch
    if done == len(items):
        if progress is not None:
            progress(len(items))
        return
    if progress is not None and start:
        progress(start)
    # Two batches are read while a third is measured.
    with ReadAhead(read, items[start:], readers=workers, ahead=2 * batch + 1) as reading:
        for first in range(start, len(items), batch):
            loaded = collate([future.result() for _, future in islice(reading, batch)])
            count = min(batch, len(items) - first)
            for rows, measure in measures:
                there = len(rows) - first
                if there < count:
                    rows.append(measure(loaded)[max(there, 0) :])
            if progress is not None:
                progress(count)
