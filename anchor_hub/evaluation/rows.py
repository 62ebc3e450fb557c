"""Rows of numbers on disk, one per sample: the numbers of a measure until it turns them into metrics.

Rows on disk keep an evaluation's memory constant and let it resume exactly. Sums run over whole files in blocks of one
size, in float64, so that the result does not depend on how samples were cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.system.inputs import shown

BLOCK = 256
_TYPES = {torch.uint8: "|u1", torch.float32: "<f4", torch.float64: "<f8"}


class Rows:
    """A file of rows of ``width`` numbers; half a row that a killed process left is cut off.

    ``rows[numbers]`` reads only the rows with these numbers (an array of whole numbers, or a slice).

    :param dtype: float32 (features), float64 (everything that is summed) or uint8 (pictures).
    """

    def __init__(self, path: Path, width: int, dtype: torch.dtype = torch.float64) -> None:
        self.path, self.width, self.dtype = path, width, dtype
        self._size = width * torch.empty((), dtype=dtype).element_size()

    def __len__(self) -> int:
        return self.path.stat().st_size // self._size if self.path.exists() else 0

    def append(self, rows: Tensor) -> None:
        """Add rows ``[B, width]`` at the end.

        :raises DataError: a value is NaN or infinite, or the file cannot be written (a full disk, say).
        """
        if rows.shape[1:] != (self.width,):
            raise ValueError(f"rows are [B, {self.width}], not {list(rows.shape)}")
        values = rows.detach().to("cpu", self.dtype).contiguous()
        if bool(values.isnan().any()):
            raise DataError(f"{self.path.name}: a value is not finite; a picture or the extractor is damaged")
        try:
            self.trim(len(self))
            with open(self.path, "ab") as stream:
                stream.write(values.numpy().astype(_TYPES[self.dtype]).tobytes())
        except OSError as error:
            raise DataError(f"{shown(self.path)}: cannot be written ({error.strerror or error})") from None

    def trim(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        if self.path.exists() and self.path.stat().st_size != count * self._size:
            with open(self.path, "r+b") as stream:
                stream.truncate(count * self._size)

    def __getitem__(self, chosen: Any) -> Any:
        import numpy as np

        count = len(self)
        kind = _TYPES[self.dtype]
        if not count:
            return np.empty((0, self.width), dtype=kind)[chosen]
        # A new map for every read: a map that is kept holds on to every page that was ever read through it.
        return np.array(np.memmap(self.path, dtype=kind, mode="r", shape=(count, self.width))[chosen])

    def blocks(self, keep: Tensor | None = None) -> Iterator[Tensor]:
        """All rows in order (or those that the bool ``keep [N]`` selects), in blocks ``[<= 256, width]``."""
        chosen = None if keep is None else torch.nonzero(keep).flatten().numpy()
        for start in range(0, len(self) if chosen is None else len(chosen), BLOCK):
            part = slice(start, start + BLOCK)
            yield torch.from_numpy(self[part if chosen is None else chosen[part]])

    def sum(self) -> Tensor:
        """The sum over all rows, float64 ``[width]``."""
        total = torch.zeros(self.width, dtype=torch.float64)
        for block in self.blocks():
            total += block.double().sum(0)
        return total

    def mean_and_deviation(self, column: int = 0) -> tuple[float, float]:
        """Mean and standard deviation (divided by N) of a column, in two passes."""
        count = len(self)
        mean = float(self.sum()[column]) / count
        squares = sum(float((block[:, column].double() - mean).square().sum()) for block in self.blocks())
        return mean, (squares / count) ** 0.5


class ChosenRows:
    """The rows of ``rows`` with the numbers in the array ``numbers``, read when they are asked for."""

    def __init__(self, rows: Rows, numbers: Any) -> None:
        self.rows, self.numbers = rows, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, chosen: Any) -> Any:
        return self.rows[self.numbers[chosen]]
