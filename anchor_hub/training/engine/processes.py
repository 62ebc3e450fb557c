"""Data-parallel training on one machine: helper processes beside the one that was started.

On a CPU, several processes of one thread each train faster than one process of several threads: its threads wait for
each other hundreds of times a step, and very long where other programs use the cores, too. Processes meet twice a step.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch

from anchor_hub.errors import AnchorError, TrainingError, UsageError
from anchor_hub.system.devices import one_thread
from anchor_hub.system.spawned import refuse_unguarded_script
from anchor_hub.training.distributed import ProcessGroup

if TYPE_CHECKING:
    from anchor_hub.training.engine.trainer import Trainer

__all__ = ["default_processes", "helpers", "one_thread"]

MOST_BY_DEFAULT = 8
FEWEST_CORES = 2  # that a machine with one core may be asked to use, too
SMALLEST_SHARE = 4  # the discriminator compares images in groups of four


def default_processes(device: torch.device, batch: int) -> int:
    """One process per CPU core (at most 8) among which the batch divides into fours; 1 on a GPU."""
    if device.type != "cpu":
        return 1
    fitting = [n for n in range(1, min(_cores(), MOST_BY_DEFAULT) + 1) if batch % (n * SMALLEST_SHARE) == 0]
    return max(fitting, default=1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_processes(processes: int, batch: int) -> None:
    """Raise UsageError where a run asks for more processes than the machine or the batch has work for."""
    most = min(max(_cores(), FEWEST_CORES), batch)
    if processes > most:
        raise UsageError(
            f"--processes {processes}: this machine has {_cores()} cores and a step {batch} images, so at most {most} "
            "processes; leave the option out to let the machine decide"
        )


@contextmanager
def helpers(trainer: Trainer, resume: bool, world: int) -> Iterator[Path]:
    """Start the `world - 1` other processes of a run; gives the file at which all of them meet.

    Raises TrainingError where a helper does not come up. Helpers end with the block, and when this process dies.
    """
    refuse_unguarded_script(f"--processes {world}")
    folder = Path(tempfile.mkdtemp(prefix="anchor-run-"))
    started: list[Any] = []
    try:
        content = _packed(trainer, folder)
        spawning = multiprocessing.get_context("spawn")
        waiting = []
        for rank in range(1, world):
            here, there = spawning.Pipe(duplex=False)
            arguments = (content, str(folder), resume, ProcessGroup(rank, world, rank), there)
            process = spawning.Process(target=_help, args=arguments, daemon=True, name=f"rank {rank}")
            process.start()
            there.close()
            started.append(process)
            waiting.append(here)
        for process, pipe in zip(started, waiting, strict=True):
            _wait_until_ready(process, pipe)
        yield folder / "meeting"
        for process in started:
            process.join(timeout=30)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.join()
        shutil.rmtree(folder, ignore_errors=True)


def _packed(trainer: Trainer, folder: Path) -> bytes:
    """The trainer pickled; samples held in memory go into one file that all processes map."""
    data = trainer.data
    try:
        for name, samples in data.items():
            if isinstance(samples.rows, torch.Tensor):
                numpy.save(_samples_file(folder, name), samples.rows.numpy())
        trainer.data = {
            name: replace(samples, rows=[]) if isinstance(samples.rows, torch.Tensor) else samples
            for name, samples in data.items()
        }
        return pickle.dumps(trainer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TrainingError(
            f"this run cannot be shared among processes ({error}); use --processes 1"
        ) from error
    finally:
        trainer.data = data


def _samples_file(folder: Path, name: str) -> Path:
    return folder / f"samples-{name}.npy"


def _wait_until_ready(process: Any, pipe: Any) -> None:
    while not pipe.poll(0.2):
        if not process.is_alive():
            break
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
        return
    raise TrainingError(f"{process.name} of the run did not start; use --processes 1, or see the lines above")


def _help(content: bytes, folder: str, resume: bool, group: ProcessGroup, ready: Any) -> None:
    """What a helper process does: unpack the trainer and run it as rank `group.rank`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; rank 0 decides for all
    torch.set_num_threads(1)
    trainer: Trainer = pickle.loads(content)
    for name, samples in trainer.data.items():
        path = _samples_file(Path(folder), name)
        if path.exists():
            rows = torch.from_numpy(numpy.load(path, mmap_mode="c"))
            trainer.data[name] = replace(samples, rows=rows)
    ready.send(True)
    ready.close()
    try:
        trainer.run_as(group, Path(folder) / "meeting", resume)
    except AnchorError as error:
        # Rank 0 meets the same trouble, or the loss of this rank, and reports it.
        if os.environ.get("ANCHOR_DEBUG"):
            print(f"rank {group.rank}: {error}", file=sys.stderr)
        sys.exit(1)
