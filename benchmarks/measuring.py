"""One piece of work in a process of its own: time, peak memory, FLOPs, output. The parent says when to run it.

`python -m benchmarks` starts a process per row and side and lets them run in turns. Orders arrive as lines on standard
input, answers leave as lines of JSON.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: One run repeats a short piece for so many seconds.
SHORTEST = 0.2


@dataclass
class Piece:
    """A piece of work, ready to run.

    :param parts: calls with their weights: the time of the piece is the weighted sum of their times. A call may give
        its own ``{"cpu", "wall", "memory"}`` (seconds, MB), as one does that starts another process.
    :param units: images (or other units) of the piece.
    :param precision: "fp32" or "bf16", which decides the limit; "": the piece is no matter of convolutions.
    :param training: whether it runs backward, too.
    :param output: the tensor in which it must agree with the plain formulation; called before anything else.
    :param note: a word for the table.
    """

    parts: Sequence[tuple[float, Callable[[], Any]]]
    units: int = 1
    precision: str = ""
    training: bool = False
    output: Callable[[], Any] | None = None
    note: str = ""


def device() -> Any:
    """The device that benchmarks run on."""
    import torch

    return torch.device("cpu")


def clock() -> float:
    """Processor seconds of one thread, which other work hardly changes; seconds of the wall for several threads."""
    import torch

    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def resident() -> tuple[float, float]:
    """Memory of this process in MB, now and at its peak; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        held = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Vm")}
        return held["VmRSS"], held["VmHWM"]
    except (OSError, KeyError):
        return 0.0, 0.0


def forget_peak() -> None:
    """Let the peak of memory begin anew, where the system can do that."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def count_flops(call: Callable[[], Any]) -> float:
    """Floating-point operations of a call, backward passes included, multiply and add as two."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    total = 0.0

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal total
            kwargs = kwargs or {}
            counted = flop_registry.get(func.overloadpacket)
            if counted is None:
                # Under inference mode, composite operations arrive whole.
                with self:
                    result = func.decompose(*args, **kwargs)
                if result is not NotImplemented:
                    return result
            result = func(*args, **kwargs)
            if counted is not None:
                total += counted(*args, **kwargs, out_val=result)
            return result

    with Counting():
        call()
    return total


class Worker:
    """Builds a piece and answers orders: "output FILE", "flops", "run"."""

    def __init__(self, build: Callable[[Path], Piece], cache: Path) -> None:
        import torch

        torch.randn(4, 4, 4, 4).sum().item()
        gc.collect()
        self.base = resident()[0]
        self.piece = build(cache)
        self.repeats = [0] * len(self.piece.parts)

    def describe(self) -> dict[str, Any]:
        piece = self.piece
        return {
            "units": piece.units, "precision": piece.precision, "training": piece.training, "note": piece.note,
            "checked": piece.output is not None,
        }  # fmt: skip

    def output(self, file: str) -> dict[str, Any]:
        """Write the output that must agree with the other side's."""
        import torch

        assert self.piece.output is not None
        with torch.no_grad():
            torch.save(self.piece.output().detach().float().clone(), file)
        return {}

    def warm(self) -> dict[str, Any]:
        """Run every part, short ones twice, and find out how often a run repeats it."""
        for index, (_, call) in enumerate(self.piece.parts):
            for _ in range(2):
                began = clock()
                given = call()
                seconds = given["cpu"] if isinstance(given, dict) else clock() - began
                if seconds > SHORTEST:  # the first call's extra work is small then
                    break
            self.repeats[index] = max(1, min(1000, math.ceil(SHORTEST / max(seconds, 1e-6))))
        forget_peak()
        return {}

    def flops(self) -> dict[str, Any]:
        found = sum(weight * count_flops(call) for weight, call in self.piece.parts) if self.piece.precision else 0.0
        forget_peak()
        return {"flops": found}

    def run(self) -> dict[str, Any]:
        """Time of the piece, `cpu` and `wall` in seconds, and peak memory in MB so far."""
        total, memory = {"cpu": 0.0, "wall": 0.0}, 0.0
        for (weight, call), repeats in zip(self.piece.parts, self.repeats, strict=True):
            gc.collect()
            cpu, wall, given = time.process_time(), time.perf_counter(), None
            for _ in range(repeats):
                given = call()
            taken = {"cpu": (time.process_time() - cpu) / repeats, "wall": (time.perf_counter() - wall) / repeats}
            if isinstance(given, dict):
                taken, memory = given, max(memory, given.get("memory", 0.0))
            total = {key: value + weight * taken[key] for key, value in total.items()}
        return {**total, "memory": memory or max(0.0, resident()[1] - self.base)}


def main() -> None:
    """Answer the parent's orders: `ROW SIDE THREADS CACHE` are the arguments."""
    row, side, threads, cache = sys.argv[1:5]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what others print must not mix with the answers

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")

    import torch

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    if side == "limit":
        from benchmarks.machine import Convolutions

        convolutions = Convolutions()
        answer(convolutions.find())
        for line in sys.stdin:
            precision, training = line.split()
            answer({"rate": convolutions.rate(precision, training == "training")})
        return
    from benchmarks.rows import ROWS

    chosen = ROWS[row]
    build = chosen.plain if side == "plain" else chosen.ours
    assert build is not None
    worker = Worker(build, Path(cache))
    answer(worker.describe())
    for line in sys.stdin:
        order, *arguments = line.split(maxsplit=1)
        answer(getattr(worker, order)(*(value.strip() for value in arguments)))
