"""Running chunks of a rendering in several processes, so that it can be interrupted between any two."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch

from anchor_hub.config import load_yaml
from anchor_hub.errors import ConfigError, DataError, UsageError

LARGEST_INDEX = 999_999  # names have six digits, so that they sort


def run_jobs(work: Callable[..., int], jobs: Sequence[tuple[Any, ...]], workers: int, folder: Path) -> Iterator[int]:
    """Call ``work(*job)`` for every job, in ``workers`` processes of one thread, yielding each result as it comes.

    ``work`` must be a function of a module. :raises DataError: a process was killed; what is done is kept.
    """
    if workers <= 1 or len(jobs) < 2:
        for job in jobs:
            yield work(*job)
        return
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_start_worker, initargs=(stop,))
    try:
        futures = [pool.submit(_unless_stopped, work, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            f"{folder}: a rendering process was killed (out of memory?); try again with fewer workers, "
            "what is rendered already is kept"
        ) from error
    finally:
        stop.set()  # the pool has handed out more chunks than workers are at, and cannot take them back
        pool.shutdown(wait=True, cancel_futures=True)


_stop: Event | None = None  # set in workers


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers after the chunk they are at


def _unless_stopped(work: Callable[..., int], job: tuple[Any, ...]) -> int:
    return 0 if _stop is not None and _stop.is_set() else work(*job)


def write_rendered(path: Path, data: bytes) -> None:
    """``write_file`` without waiting for the disk: what a power failure takes is rendered again."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def present(folder: Path) -> set[str]:
    """Names of the whole files in a folder, which may not be there."""
    if not folder.is_dir():
        return set()
    return {entry.name for entry in os.scandir(folder) if entry.stat().st_size}


def check_numbers(count: int, seed: int, start: int, workers: int) -> None:
    """UsageError for numbers out of range."""
    if count < 1:
        raise UsageError(f"count must be at least 1, got {count}")
    if seed < 0 or start < 0 or workers < 0:
        raise UsageError(f"seed, start and workers must be at least 0, got {seed}, {start} and {workers}")
    if start + count - 1 > LARGEST_INDEX:
        raise UsageError(f"sample {start + count - 1} is beyond {LARGEST_INDEX}, the last name; use another seed")


def merge_settings(
    folder: Path, settings: dict[str, Any], count: int, start: int, lists: dict[str, tuple[list[str], list[str]]]
) -> dict[str, Any]:
    """The contents of dataset.yaml, covering what the folder holds already.

    :param settings: what must be the same. ``lists``: what may grow, as (all names in order, those of this call).
    :raises DataError: a damaged dataset.yaml, a data set of other settings, or other files.
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
