"""Runs the chunks of a rendering in several processes; an interruption stops between two chunks."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch

from anchor_hub.errors import DataError
from anchor_hub.system.spawned import refuse_unguarded_script


def run_in_processes(
    work: Callable[..., int], jobs: Sequence[tuple[Any, ...]], workers: int, folder: Path
) -> Iterator[int]:
    """The result of ``work(*job)`` for every job, as it comes, from ``workers`` processes of one thread.

    :param work: a function at the top level of a module.
    :raises DataError: a process was killed; finished chunks are kept.
    """
    if workers <= 1 or len(jobs) < 2:
        for job in jobs:
            yield work(*job)
        return
    refuse_unguarded_script(str(folder))
    context = get_context("spawn")
    begun = False
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_start_worker, initargs=(stop,))
    try:
        futures = [pool.submit(_unless_stopped, work, job) for job in jobs]
        for future in as_completed(futures):
            result = future.result()
            begun = True
            yield result
    except BrokenProcessPool as error:
        if not begun:
            raise DataError(
                f"{folder}: no rendering process could start; in a script, put what it does below the line "
                'if __name__ == "__main__": (see the lines above)'
            ) from error
        raise DataError(
            f"{folder}: a rendering process was killed (out of memory?); try again with fewer workers (finished "
            "samples are kept)"
        ) from error
    finally:
        stop.set()  # the pool has handed out more chunks than the workers have begun, and cannot take them back
        pool.shutdown(wait=True, cancel_futures=True)


_stop: Event | None = None  # set in workers


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers after their current chunk


def _unless_stopped(work: Callable[..., int], job: tuple[Any, ...]) -> int:
    return 0 if _stop is not None and _stop.is_set() else work(*job)
