"""Going through samples once, in order, in batches: read in threads, measured in the calling thread, kept as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from anchor_hub.evaluation.rows import Rows
from anchor_hub.system.reading_ahead import ReadAhead

#: Samples that a network computes at once, always the same ones together: convolutions round differently in batches
#: of other sizes, which would make results depend on `--batch`.
COMPUTE = 8

ItemT = TypeVar("ItemT")
Read = TypeVar("Read")
Batch = TypeVar("Batch")


def rounded(batch: int) -> int:
    """``batch``, up to the next multiple of what networks compute at once."""
    return -(-batch // COMPUTE) * COMPUTE


def in_parts(compute: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """``compute`` over parts of a batch that begins at a multiple of ``COMPUTE``; its results in one tensor."""
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
    """Give every rows file one row per item, in the items' order; items that all files have are not read again.

    At most three batches are in memory. A resumed pass begins at the batch it was stopped in, so that networks
    see the samples together that they would have seen.

    :param batch: is rounded up, see :func:`rounded`.
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
