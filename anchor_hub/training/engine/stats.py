"""The run's log, `stats.jsonl`: one JSON object per tick."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.system.files import write_file
from anchor_hub.system.guarded import read_regular


class StatsLog:
    """Appends lines to `stats.jsonl`, and on resume drops those written after the checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line and flush it, so that a killed run loses none."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Every complete line; a line torn by a kill is left out."""
        if not self.path.exists():
            return []
        lines = []
        for text in read_regular(self.path).decode("utf-8", "replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                lines.append(line)
        return lines

    def cut_after(self, step: int) -> None:
        """Keep the lines up to `step`: the steps after it are about to be trained again."""
        kept = [line for line in self.read() if line.get("step", 0) <= step]
        write_file(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode())


class LossMeter:
    """Means of the losses since the last tick. Losses stay on their device until asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, losses: Mapping[str, float | Tensor]) -> None:
        """Count the losses of one step; a loss computed in some steps only is averaged over those."""
        for name, value in losses.items():
            value = value.detach().float() if isinstance(value, Tensor) else torch.tensor(float(value))
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def not_finite(self) -> list[str]:
        """The names of the losses that became NaN or infinite since the last tick."""
        return [name for name, value in self._sums.items() if not math.isfinite(float(value))]

    def means(self) -> dict[str, float]:
        """The mean of every loss since the last call; starts anew."""
        means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means


def peak_memory_mib(device: torch.device) -> float:
    """The most memory used so far in MiB: of the GPU on CUDA, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
