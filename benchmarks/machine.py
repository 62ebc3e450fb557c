"""What numbers depend on: the machine's facts, how busy it is, and how fast it convolves in which layout."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Representative 3x3 convolutions: samples, channels, side in pixels.
SHAPES = ((4, 64, 64), (4, 128, 32), (4, 256, 32), (4, 512, 16))
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "neon", "asimd", "bf16")
#: The machine counts as busy above this load per core before the start, and where the slowest calibration loop took so
#: much longer than the fastest.
BUSY_LOAD, BUSY_DRIFT = 0.3, 1.15


def load() -> float | None:
    """The mean number of running processes of the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def facts(threads: int) -> dict[str, Any]:
    """Processor, its flags, cores, threads, system, versions, and the load now."""
    processor, flags = platform.processor() or platform.machine(), set[str]()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                processor = value.strip()
            elif name.strip() in ("flags", "Features"):
                flags = set(value.split())
    except OSError:
        pass
    from importlib.metadata import version

    return {
        "processor": processor,
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "load_before": load(),
    }


def calibration_loop() -> float:
    """Wall-clock milliseconds of a fixed loop: they rise when others use the core."""
    began, total = time.perf_counter(), 0
    for number in range(400_000):
        total += number & 7
    return (time.perf_counter() - began) * 1e3


def busy(found: dict[str, Any], loops: list[float]) -> list[str]:
    """Why the numbers deserve doubt, one sentence each; empty on a quiet machine."""
    reasons, before, cores = [], found["load_before"], found["cores"]
    if before is not None and before > BUSY_LOAD * cores:
        reasons.append(f"the load was {before:.1f} on {cores} cores before the start")
    if loops and max(loops) > BUSY_DRIFT * min(loops):
        reasons.append(f"a fixed loop took {min(loops):.0f} to {max(loops):.0f} ms of wall-clock time")
    return reasons


def native_precision() -> str:
    """The precision that ``--precision auto`` chooses on this machine, "fp32" or "bf16"."""
    from benchmarks.measuring import device

    try:
        from anchor_hub.system.precision import resolve_precision
    except ImportError:  # a checkout of before it lay there, given with --against
        from anchor_hub.training.engine.precision import resolve_precision
    return resolve_precision("auto", device())


class Convolutions:
    """The convolution rate of this machine: the best layout and shape of each precision, forward and in training."""

    def __init__(self) -> None:
        self.survey: dict[str, float] = {}
        self.best: dict[tuple[str, bool], tuple[float, Callable[[], float]]] = {}

    def find(self) -> dict[str, Any]:
        """GFLOP/s of every case (the best of three), and the case that is fastest by precision and direction."""
        native = ["fp32", *(["bf16"] if native_precision() == "bf16" else [])]
        for training in (False, True):
            for precision in native:
                for layout in ("contiguous", "channels-last"):
                    for shape in SHAPES:
                        run = self.case(shape, layout, precision, training)
                        run()
                        rate = max(run() for _ in range(3))
                        way = "training" if training else "forward"
                        self.survey[f"{precision} {way} {layout} {'x'.join(map(str, shape))}"] = rate
                        if rate > self.best.get((precision, training), (0.0, run))[0]:
                            self.best[precision, training] = rate, run
        return {"survey": self.survey, "precisions": native}

    def rate(self, precision: str, training: bool) -> float:
        """GFLOP/s now of the fastest case that the precision allows: bfloat16 may fall back on float32."""
        allowed = {"fp32": ["fp32"], "bf16": ["fp32", "bf16"]}[precision]
        cases = [self.best[name, training] for name in allowed if (name, training) in self.best]
        return max(cases, key=lambda case: case[0])[1]()

    @staticmethod
    def case(shape: tuple[int, int, int], layout: str, precision: str, training: bool) -> Callable[[], float]:
        """A call that convolves for some 50 ms of processor time and gives the GFLOP/s."""
        import torch
        import torch.nn.functional as F

        from benchmarks.measuring import clock

        batch, channels, side = shape
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        order = torch.channels_last if layout == "channels-last" else torch.contiguous_format
        x = torch.randn(batch, channels, side, side, dtype=dtype).contiguous(memory_format=order)
        weight = torch.randn(channels, channels, 3, 3, dtype=dtype).contiguous(memory_format=order)
        flops = 2 * 9 * batch * channels**2 * side**2 * (3 if training else 1)
        if training:
            x.requires_grad_()
            weight.requires_grad_()

        def run() -> float:
            began, count = clock(), 0
            while count < 2 or clock() - began < 0.05:
                y = F.conv2d(x, weight, padding=1)
                if training:
                    torch.autograd.grad(y, (x, weight), torch.ones_like(y))
                count += 1
            return count * flops / (clock() - began) / 1e9

        return run
