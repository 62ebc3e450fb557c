"""Writes the report beside its `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anchor_hub.errors import AnchorError, DataError, UsageError
from anchor_hub.evaluation.report.contents import LOG, LOGS, read_contents, read_log
from anchor_hub.evaluation.report.page import render
from anchor_hub.evaluation.result import RunResult
from anchor_hub.system.files import write_file
from anchor_hub.system.guarded import read_regular
from anchor_hub.system.inputs import shown

#: Name of the page in a report folder.
REPORT_NAME = "report.html"


def write_report(folder: str | Path, stats: Mapping[str, str | Path] | None = None) -> Path:
    """Write `report.html` into a report folder from its `metrics.json`, samples and pictures; returns its path.

    The page holds everything it needs and opens from a file. It is written whole or not at all, and the same folder
    gives the same bytes. The page says which pictures are missing.

    :param stats: training logs to plot, by name (``{"seg": run folder or stats.jsonl}``). They are copied into the
        folder ``stats``. The page plots every log in that folder, and the logs that the run names among its files
        (roles ``stats`` or ``stats:NAME``).
    :raises DataError: no usable ``metrics.json``, a given log is missing, or the folder cannot be written to.
    """
    folder = Path(folder)
    path = folder / REPORT_NAME
    logs = {name: _log(Path(given)) for name, given in (stats or {}).items()}
    try:
        for name, log in logs.items():
            copy = folder / LOGS / f"{_file_name(name)}.jsonl"
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_file(copy, log)
        return write_file(path, render(read_contents(folder)).encode("utf-8"))
    except OSError as error:
        if isinstance(error, AnchorError):
            raise
        raise DataError(f"{shown(error.filename or path)}: cannot be written ({error.strerror or error})") from None


def named_runs(given: Sequence[str]) -> dict[str, Path]:
    """Training runs as name -> path, from texts like ``["seg=runs/domain-seg", "runs/hub"]``.

    A run without a name gets the name of its folder.

    :raises UsageError: two runs have one name.
    """
    runs: dict[str, Path] = {}
    for item in given:
        name, equals, path = item.partition("=")
        if not equals or "/" in name:
            name, path = "", item
        found = Path(path)
        name = name or (found.resolve().parent if found.name == LOG else found.resolve()).name
        if name in runs:
            raise UsageError(f"two training runs are called {name!r}: name them, e.g. {name}-2={path}")
        runs[name] = found
    return runs


def own_runs(run: RunResult) -> dict[str, Path]:
    """Name -> training log in the home, for each measured domain (and hub) that the home holds."""
    from anchor_hub.plugins.registry import registry
    from anchor_hub.system.home import home

    found: dict[str, Path] = {}
    asked: list[tuple[str, str, Any]] = [
        (name, f"domain-{name}", registry().domains) for pair in run.pairs for name in (pair.source, pair.target)
    ]
    if run.hub is not None:
        asked.append((run.hub.name, run.hub.name, registry().hubs))
    for name, folder, records in asked:
        try:
            log = home().runs / folder / LOG
            if log.is_file() and records[name].source == "home":
                found[name] = log
        except (AnchorError, OSError):
            continue
    return found


def check_logs(runs: Mapping[str, str | Path]) -> None:
    """Check that all training logs are there, before a long evaluation ends in a report that needs them.

    :raises DataError: a log is missing.
    """
    for given in runs.values():
        path = _log_path(Path(given))
        if not path.is_file() or not read_log(path):
            raise DataError(_no_log(Path(given)))


def _log(given: Path) -> bytes:
    try:
        return read_regular(_log_path(given))
    except OSError:
        raise DataError(_no_log(given)) from None


def _log_path(given: Path) -> Path:
    return given / LOG if given.is_dir() else given


def _no_log(given: Path) -> str:
    return f"{shown(given)}: holds no training log; give a run's folder or its {LOG}"


def _file_name(name: str) -> str:
    """``name`` as a file's name that cannot lead into another folder."""
    kept = "".join(char if char.isalnum() or char in "-_. " else "-" for char in name).strip(". ")
    return kept[:80] or "run"
