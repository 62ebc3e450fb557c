from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anchor_hub.evaluation import passes
from anchor_hub.evaluation.passes import in_parts, rounded, run_pass
from anchor_hub.evaluation.rows import Rows


@pytest.fixture(autouse=True)
def one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches as small as the tests say."""
    monkeypatch.setattr(passes, "COMPUTE", 1)


def test_networks_see_the_same_samples_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "COMPUTE", 4)
    assert [rounded(batch) for batch in (1, 4, 5, 16)] == [4, 4, 8, 16]
    seen: list[list[int]] = []

    def compute(first: Tensor, second: Tensor) -> Tensor:
        seen.append(first.tolist())
        return first + second

    assert in_parts(compute, torch.arange(10), torch.ones(10)).tolist() == list(range(1, 11))
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def go(folder: Path, items: Sequence[int], batch: int = 4, workers: int = 2, stop: int | None = None) -> list[int]:
    """Squares and cubes of ``items``; reading number ``stop`` fails. Returns what was read."""
    seen: list[int] = []

    def read(item: int) -> int:
        if item == stop:
            raise RuntimeError("killed")
        seen.append(item)
        return item

    def collate(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None]

    both = Rows(folder / "both", 2)
    measures = [(Rows(folder / "square", 1), lambda x: x**2), (both, lambda x: torch.cat([x, x**3], 1))]
    run_pass(items, read, collate, measures, batch=batch, workers=workers)
    return seen


def content(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "square").read_bytes(), (folder / "both").read_bytes()


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (3, 4), (64, 2)])
def test_batches_and_workers_change_nothing(tmp_path: Path, batch: int, workers: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    go(tmp_path / "a", range(10))
    go(tmp_path / "b", range(10), batch, workers)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert [block.flatten().tolist() for block in Rows(tmp_path / "a" / "square", 1).blocks()] == [
        [float(i * i) for i in range(10)]
    ]


def test_a_stopped_pass_goes_on_at_its_batch(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        go(tmp_path, range(10), stop=9)
    assert len(Rows(tmp_path / "square", 1)) in (4, 8)
    Rows(tmp_path / "both", 2).trim(6)  # the process died between the two files
    assert sorted(go(tmp_path, range(10))) == list(range(4, 10))
    (tmp_path / "whole").mkdir()
    go(tmp_path / "whole", range(10))
    assert content(tmp_path) == content(tmp_path / "whole")
    assert go(tmp_path, range(10)) == []


def test_progress_counts_every_item_once(tmp_path: Path) -> None:
    for _ in range(2):
        done: list[int] = []
        rows = Rows(tmp_path / "rows", 1)
        run_pass(range(5), float, lambda x: torch.tensor(x)[:, None], [(rows, lambda x: x)], batch=2, workers=1,
                 progress=done.append)  # fmt: skip
        assert sum(done) == 5
    run_pass(range(5), float, lambda x: x, [], batch=2, workers=1, progress=done.append)
    assert sum(done) == 10


def test_memory_does_not_grow_with_the_number_of_samples(tmp_path: Path) -> None:
    """However slow measuring is, only three batches are ever read and not yet measured."""
    read, measured, most = 0, 0, 0

    def load(item: int) -> int:
        nonlocal read, most
        read += 1
        most = max(most, read - measured)
        return item

    def measure(values: Tensor) -> Tensor:
        nonlocal measured
        time.sleep(0.005)
        measured += len(values)
        return values

    def collate(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None]

    run_pass(range(200), load, collate, [(Rows(tmp_path / "rows", 1), measure)], batch=4, workers=4)
    assert read == measured == 200 and most <= 3 * 4
