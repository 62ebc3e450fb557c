from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anchor_hub.errors import DataError
from anchor_hub.evaluation import rows as module
from anchor_hub.evaluation.rows import ChosenRows, Rows


def test_rows_are_kept_in_order_whatever_the_batches(tmp_path: Path) -> None:
    values = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole, parts = Rows(tmp_path / "whole", 3), Rows(tmp_path / "parts", 3)
    whole.append(values)
    for part in values.split(7):
        parts.append(part)
    assert len(parts) == 1000 and parts.path.read_bytes() == whole.path.read_bytes()
    assert torch.equal(torch.cat(list(parts.blocks())), values)
    assert torch.equal(parts.sum(), whole.sum())
    assert parts.sum().tolist() == pytest.approx(values.sum(0).tolist(), rel=1e-12)
    mean, deviation = parts.mean_and_deviation(1)
    assert mean == pytest.approx(float(values[:, 1].mean()), rel=1e-12)
    assert deviation == pytest.approx(float(values[:, 1].std(unbiased=False)), rel=1e-12)


def test_half_a_row_of_a_killed_process_is_cut_off(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows", 2, torch.float32)
    rows.append(torch.ones(3, 2))
    with open(rows.path, "ab") as stream:
        stream.write(b"\x00\x00\x00\x00\x00")
    assert len(rows) == 3
    rows.append(torch.full((1, 2), 5.0))
    assert torch.cat(list(rows.blocks())).tolist() == [[1, 1]] * 3 + [[5, 5]]
    rows.trim(1)
    assert len(rows) == 1


def test_chosen_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    rows = Rows(tmp_path / "rows", 1)
    rows.append(torch.arange(7.0)[:, None])
    keep = torch.tensor([True, False, True, True, False, False, True])
    assert [block.flatten().tolist() for block in rows.blocks(keep)] == [[0, 2], [3, 6]]
    assert list(Rows(tmp_path / "none", 4).blocks()) == [] and Rows(tmp_path / "none", 4)[:5].shape == (0, 4)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    values = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    rows = Rows(tmp_path / "rows", 3, torch.float32)
    rows.append(values)
    read = rows[np.array([7, 2, 7])]
    assert torch.equal(torch.from_numpy(read), values[[7, 2, 7]]) and not isinstance(read, np.memmap)
    odd = ChosenRows(rows, np.arange(1, 20, 2))
    assert len(odd) == 10 and torch.equal(torch.from_numpy(odd[np.array([0, 9])]), values[[1, 19]])
    pictures = Rows(tmp_path / "pictures", 2, torch.uint8)
    pictures.append(torch.tensor([[0, 255]], dtype=torch.uint8))
    assert pictures.path.stat().st_size == 2 and next(pictures.blocks()).tolist() == [[0, 255]]


def test_wrong_rows(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "rows", 2)
    with pytest.raises(ValueError, match=r"\[B, 2\]"):
        rows.append(torch.zeros(1, 3))
    with pytest.raises(DataError, match="a value is not finite"):
        rows.append(torch.tensor([[0.0, float("nan")]]))
    with pytest.raises(DataError, match="cannot be written"):
        Rows(tmp_path / "no" / "rows", 1).append(torch.zeros(1, 1))
