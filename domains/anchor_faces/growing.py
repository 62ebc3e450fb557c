"""Folders of rendered data sets, which can grow, and be resumed after an interruption."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from anchor_hub.errors import ConfigError, DataError, UsageError
from anchor_hub.system.config import dump_yaml, load_yaml
from anchor_hub.system.files import write_file
from anchor_hub.system.home import Home

from .parallel import run_in_processes
from .rendering import FACTOR_NAMES

LARGEST_INDEX = 999_999  # names have six digits, so that they sort

Progress = Callable[[int, int], None]


def check_numbers(count: int, seed: int, start: int, workers: int) -> None:
    """Check the numbers of a rendering. :raises UsageError: a number is out of range."""
    if count < 1:
        raise UsageError(f"count must be at least 1, got {count}")
    if seed < 0 or start < 0 or workers < 0:
        raise UsageError(f"seed, start and workers must be at least 0, got {seed}, {start} and {workers}")
    if start + count - 1 > LARGEST_INDEX:
        raise UsageError(f"sample {start + count - 1} is beyond {LARGEST_INDEX}, the last name; use another seed")


def begin(
    folder: Path,
    settings: dict[str, Any],
    count: int,
    start: int,
    lists: dict[str, tuple[list[str], list[str]]],
    places: Iterable[str],
) -> None:
    """Make the folders ``places`` and write dataset.yaml; other arguments and errors: see :func:`merge_settings`.

    :raises DataError: the folder cannot be written to.
    """
    merged = merge_settings(folder, settings, count, start, lists)
    try:
        for place in places:
            (folder / place).mkdir(parents=True, exist_ok=True)
        write_file(folder / "dataset.yaml", dump_yaml(merged).encode())
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from None


def merge_settings(
    folder: Path, settings: dict[str, Any], count: int, start: int, lists: dict[str, tuple[list[str], list[str]]]
) -> dict[str, Any]:
    """The contents of dataset.yaml for the samples that the folder holds already and those of this call.

    :param settings: settings that must be equal in every call.
    :param lists: settings that may grow, as (all names in order, names of this call).
    :raises DataError: dataset.yaml is damaged, or the folder holds a data set of other settings, or other files.
    """
    path = folder / "dataset.yaml"
    end = start + count
    known: dict[str, list[str]] = {name: [] for name in lists}
    if path.exists():
        try:
            found = load_yaml(path)
            other = found.get("data_set")
        except (ConfigError, AttributeError) as error:
            raise _damaged(path, error) from error
        if other != settings.get("data_set"):
            raise DataError(f"{path}: the folder holds {other or 'rendered-faces'}; choose another folder")
        try:
            differing = [name for name in {**found, **settings} if _differs(name, found, settings, lists)]
            found_start, found_end = int(found["start"]), int(found["start"]) + int(found["count"])
            known = {name: list(found[name]) for name in lists}
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, error) from error
        if differing:
            details = ", ".join(f"{name} is {found.get(name)}, not {settings.get(name)}" for name in differing)
            raise DataError(f"{path}: {details}; choose another folder, or delete this one")
        start, end = min(start, found_start), max(end, found_end)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: not empty and not a rendered data set (no dataset.yaml); choose another folder")
    merged = {**settings, "start": start, "count": end - start}
    for name, (every, wanted) in lists.items():
        merged[name] = [item for item in every if item in known[name] or item in wanted]
    return merged


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: damaged ({error!r}); delete the folder or choose another")


def _differs(name: str, found: dict[str, Any], settings: dict[str, Any], lists: dict[str, Any]) -> bool:
    if name in ("start", "count", "data_set") or name in lists:
        return False
    if name in settings and name not in found:
        raise KeyError(name)
    return bool(found.get(name) != settings.get(name))


def present(folder: Path) -> set[str]:
    """Names of the whole files in a folder; empty where there is no such folder."""
    if not folder.is_dir():
        return set()
    return {entry.name for entry in os.scandir(folder) if entry.stat().st_size}


def by_missing(
    indices: Iterable[int], modalities: Sequence[str], there: Callable[[str, int], bool]
) -> dict[tuple[str, ...], list[int]]:
    """Modalities that are missing -> indices of the samples that miss exactly these; complete samples are left out.

    :param there: whether the folder holds the file of a modality of a sample.
    """
    found: dict[tuple[str, ...], list[int]] = {}
    for index in indices:
        absent = tuple(name for name in modalities if not there(name, index))
        if absent:
            found.setdefault(absent, []).append(index)
    return found


def fill(
    work: Callable[..., int],
    jobs: Sequence[tuple[Any, ...]],
    folder: Path,
    total: int,
    workers: int,
    progress: Progress | None,
) -> None:
    """Run the jobs by :func:`~anchor_faces.parallel.run_in_processes`, and tell ``progress`` how many are done."""
    done = 0
    for rendered in run_in_processes(work, jobs, workers, folder):
        done += rendered
        if progress is not None:
            progress(done, total)


def write_factors(folder: Path, columns: Sequence[str], rows: Iterable[tuple[Sequence[str], Iterable[Any]]]) -> None:
    """Write factors.csv: for each sample the values of ``columns``, then the factors, floats with six digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *FACTOR_NAMES])
    for first, values in rows:
        writer.writerow([*first, *(round(value, 6) if isinstance(value, float) else value for value in values)])
    write_file(folder / "factors.csv", text.getvalue().encode())


def numbered(folders: Iterable[Path]) -> list[int]:
    """Numbers of the samples that have a file in any of the folders, ascending; a missing folder holds none."""
    names = {path.stem for folder in folders if folder.is_dir() for path in folder.iterdir()}
    return sorted(int(name) for name in names if name.isdigit())


def fill_cache(home: Home, name: str, render: Callable[..., Path], **options: Any) -> Path:
    """The folder ``name`` of the home's cache after ``render(folder, workers=..., **options)``.

    Only one process at a time renders into it.
    """
    folder = home.cache / name
    with home.lock(name, timeout=3600.0):
        return render(folder, workers=max(1, min(8, os.cpu_count() or 1)), **options)
