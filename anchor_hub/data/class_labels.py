"""Which class an image is of, where a column of the table beside the images says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from anchor_hub.data.layouts.base import natural
from anchor_hub.data.sample_tables import find_table, read_table, row_of
from anchor_hub.errors import DataError, UsageError, did_you_mean
from anchor_hub.system.inputs import shown


def column_labels(paths: Sequence[Path], root: str | Path, column: str) -> tuple[tuple[str, ...], Tensor]:
    """Class names and labels ``[N]`` from a column of the ``manifest.csv`` (or ``factors.csv``) in or beside ``root``.

    :raises UsageError: no such column. :raises DataError: no table, a file without a row, fewer than two classes.
    """
    folder = Path(root) if Path(root).is_dir() else Path(root).absolute().parent
    table = find_table(folder)
    columns, rows = read_table(table)
    if column not in columns:
        raise UsageError(f"--class-column: {shown(table)} has no column {column!r}.{did_you_mean(column, columns)}")
    names = []
    for path in map(Path, paths):  # members of an archive are paths, too, by what they are called
        name = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
        row = row_of(rows, name.with_suffix(""))
        if row is None or not row[column].strip():
            raise DataError(f"{shown(path)}: has no class in {shown(table)}, column {column!r}; add it")
        names.append(row[column].strip())
    return _numbered(names, f"{shown(table)}: a class-conditional hub needs several classes in column {column!r}")


def _numbered(names: Sequence[str], complaint: str) -> tuple[tuple[str, ...], Tensor]:
    classes = tuple(sorted(set(names), key=natural))
    if len(classes) < 2:
        raise DataError(f"{complaint}, and at least two classes; found {', '.join(classes) or 'none'}")
    index = {name: number for number, name in enumerate(classes)}
    return classes, torch.tensor([index[name] for name in names], dtype=torch.long)
