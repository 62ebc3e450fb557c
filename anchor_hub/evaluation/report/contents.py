"""What a report folder holds, read with suspicion: it may come from somebody else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from anchor_hub.config import read_text
from anchor_hub.errors import DataError

METRICS, SAMPLES, STATS = "metrics.json", "samples.jsonl", "stats"
MAX_BYTES = 200_000_000
# The columns of a sample's row, in their order; "outputs" holds several translations of one input.
ROLES = ("input", "output", "outputs", "truth")


@dataclass(frozen=True)
class Sample:
    """One evaluated sample: per-sample scores, and ``(column, file)`` of the pictures that were kept."""

    name: str
    scores: Mapping[str, float] = field(default_factory=dict)
    pictures: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True)
class Contents:
    """A report folder: ``run`` is ``metrics.json`` less its metrics, ``logs`` the lines of training logs by name."""

    folder: Path
    run: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...]
    samples: tuple[Sample, ...] = ()
    logs: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


def read_contents(folder: str | Path, stats: Mapping[str, str | Path] | None = None) -> Contents:
    """The report folder's contents. ``stats``: further training logs (``stats.jsonl`` or run folders) by name.

    :raises DataError: no ``metrics.json`` there, or one that cannot be used; the message names file and fix.
    """
    folder = Path(folder)
    path = folder / METRICS
    if not path.is_file():
        raise DataError(f"{folder}: there is no {METRICS}; `anchor evaluate ... --report {folder}` writes one")
    try:
        run = json.loads(read_text(path, MAX_BYTES))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}); evaluate again") from None
    if not isinstance(run, dict) or not isinstance(run.get("metrics"), list):
        raise DataError(f"{path}: has no list of metrics; evaluate again")
    metrics = tuple(item for item in run.pop("metrics") if isinstance(item, dict))
    logs = {item.stem: item for item in sorted((folder / STATS).glob("*.jsonl"))}
    logs.update({name: _log_of(Path(given)) for name, given in (stats or {}).items()})
    lines = {name: read_lines(log) for name, log in logs.items()}
    return Contents(folder, run, metrics, _samples(folder), {name: found for name, found in lines.items() if found})


def _log_of(given: Path) -> Path:
    path = given / "stats.jsonl" if given.is_dir() else given
    if not path.is_file():
        raise DataError(f"{given}: there is no training log (stats.jsonl)")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every complete JSON object of a file of lines; a line torn by a kill is left out."""
    found = []
    for text in read_text(path, MAX_BYTES).splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            found.append(line)
    return found


def number(value: Any) -> float | None:
    """``value`` where it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _samples(folder: Path) -> tuple[Sample, ...]:
    path = folder / SAMPLES
    if not path.is_file():
        return ()
    samples = []
    for place, line in enumerate(read_lines(path)):
        given = line.get("scores")
        scores = {str(name): number(value) for name, value in given.items()} if isinstance(given, dict) else {}
        kept = {name: value for name, value in scores.items() if value is not None}
        samples.append(Sample(str(line.get("name", place)), kept, tuple(_pictures(folder, line))))
    return tuple(samples)


def _pictures(folder: Path, line: Mapping[str, Any]) -> list[tuple[str, Path]]:
    pictures = []
    for role in ROLES:
        given = line.get(role)
        files = given if isinstance(given, list) else [given]
        for place, name in enumerate(files):
            # A file elsewhere on this machine never gets into a page that people pass on.
            if not isinstance(name, str) or not name or "\0" in name or PurePosixPath(name).is_absolute():
                continue
            path = folder / name
            if ".." in Path(name).parts or not path.resolve().is_relative_to(folder.resolve()):
                continue
            pictures.append((f"output {place + 1}" if role == "outputs" else role, path))
    return pictures
