"""What a report folder holds: the run, its samples by pair, and training logs."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anchor_hub.errors import DataError
from anchor_hub.evaluation.result import PairResult, RunResult, SampleResult, read_run, read_samples
from anchor_hub.system.config import read_text
from anchor_hub.system.guarded import open_text

MAX_LOG_BYTES = 200_000_000
# File name of a training run's log, and the folder in a report that holds copies of such logs.
LOG, LOGS = "stats.jsonl", "stats"


class Samples:
    """The samples in a file of lines. Only the scores stay in memory, since a page shows few of many samples.

    :raises DataError: a line is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        #: Score of every sample by name, NaN where it has none.
        self.scores: dict[str, array[float]] = {}
        for sample in read_samples(path):
            for name, score in sample.scores.items():
                column = self.scores.setdefault(name, array("d"))
                column.extend([math.nan] * (self.count - len(column)))
                column.append(math.nan if score is None else score)
            self.count += 1
        for column in self.scores.values():
            column.extend([math.nan] * (self.count - len(column)))

    def read(self, places: Collection[int]) -> dict[int, SampleResult]:
        """The samples on the lines with these numbers, counted from 0."""
        found: dict[int, SampleResult] = {}
        last = max(places, default=-1)
        with open_text(self.path) as stream:
            for place, line in enumerate(stream):
                if place > last:
                    break
                if place in places:
                    found[place] = SampleResult.model_validate_json(line)
        return found


@dataclass(frozen=True)
class Contents:
    """The contents of a report folder.

    :param samples: one for each of ``run.pairs``, None where the pair has no samples.
    :param logs: name of a training log -> its lines.
    :param problems: what could not be read, as sentences for the page.
    """

    folder: Path
    run: RunResult
    samples: tuple[Samples | None, ...]
    logs: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_contents(folder: str | Path) -> Contents:
    """The report folder's contents.

    :raises DataError: the folder holds no ``metrics.json``, or one that cannot be used.
    """
    folder = Path(folder)
    run = read_run(folder)
    problems: list[str] = []
    samples = tuple(_samples(folder, pair, problems) for pair in run.pairs)
    logs: dict[str, list[dict[str, Any]]] = {}
    for role, name in run.files.items():
        path = inside(folder, name)
        if role.split(":")[0].split("/")[0] != "stats" or path is None:
            continue
        if path.is_file():
            logs[role.partition(":")[2] or Path(name).stem] = read_log(path)
        else:
            problems.append(f"{name}: the training log is not there any more")
    logs.update({path.stem: read_log(path) for path in sorted((folder / LOGS).glob("*.jsonl"))})
    return Contents(folder, run, samples, {name: lines for name, lines in logs.items() if lines}, tuple(problems))


def inside(folder: Path, name: str) -> Path | None:
    """The path of a file that the run names; None where the name leads out of ``folder``."""
    if not name or "\0" in name:
        return None
    path = folder / name
    return path if path.resolve().is_relative_to(folder.resolve()) else None


def read_log(path: Path) -> list[dict[str, Any]]:
    """Every complete line of a ``stats.jsonl``; a line torn by a kill is left out."""
    found = []
    for text in read_text(path, MAX_LOG_BYTES).splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            found.append(line)
    return found


def number(value: Any) -> float | None:
    """``value`` as a float; None where it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _samples(folder: Path, pair: PairResult, problems: list[str]) -> Samples | None:
    if pair.samples is None:
        return None
    path = inside(folder, pair.samples)
    try:
        if path is None:
            raise DataError(f"{pair.samples}: lies outside of the report folder")
        return Samples(path)
    except DataError as error:
        # The numbers are still valid; the page says that the pictures are missing.
        problems.append(str(error))
        return None
