"""Batches of samples that are read ahead are those of samples held in memory."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from anchor_hub.training.engine.batches import BatchLoader, BatchPlan

DATA = torch.arange(10, dtype=torch.float32)[:, None]


class Files:
    """Samples that are read one by one; reading of `broken` fails."""

    broken = -1

    def __len__(self) -> int:
        return len(DATA)

    def __getitem__(self, index: int) -> Tensor:
        if index == self.broken:
            raise OSError("gone")
        return DATA[index]


@pytest.mark.parametrize(("rank", "world"), [(0, 1), (1, 2)])
def test_read_ahead_as_from_memory(rank: int, world: int) -> None:
    threads = threading.active_count()
    plan = BatchPlan(10, 4, seed=3, rank=rank, world=world)
    memory, read = BatchLoader(DATA, plan), BatchLoader(Files(), plan, workers=3)  # type: ignore[arg-type]
    for step in (0, 1, 2, 7, 8, 8, 3):
        assert torch.equal(memory.batch(step).images, read.batch(step).images), step
    read.close()
    assert threading.active_count() == threads


def test_a_step_that_failed_is_read_anew() -> None:
    files = Files()
    plan = BatchPlan(10, 4, seed=3)
    loader = BatchLoader(files, plan, workers=1)  # type: ignore[arg-type]
    files.broken = plan.indices(1)[2]
    assert torch.equal(loader.batch(0).images, DATA[plan.indices(0)])
    with pytest.raises(OSError, match="gone"):
        loader.batch(1)
    files.broken = -1
    assert torch.equal(loader.batch(1).images, DATA[plan.indices(1)])
    loader.close()
