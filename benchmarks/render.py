"""How fast samples are rendered: samples per second of one core, by kind of subject, modalities and size.

    python benchmarks/render.py [--count 64] [--sizes 64,128] [--repeat 3]

Prints the median rate in CPU time, so that other work on the machine matters less (it still takes caches and memory
away: the load is printed, too), and the most memory held. Writing files is not included.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Sequence

import torch

from anchor_faces.rendering import MODALITIES, render

SETS: dict[str, Sequence[str]] = {
    "landmarks alone": ("landmark",),
    "face, seg": ("face", "seg"),
    "face, seg, sketch, landmark": ("face", "seg", "sketch", "landmark"),
    **{
        f"{kind}: all {sum(of == kind for of, _ in MODALITIES.values())}": tuple(
            name for name, (of, _) in MODALITIES.items() if of == kind
        )
        for kind in dict.fromkeys(of for of, _ in MODALITIES.values())
    },
    f"all {len(MODALITIES)}": tuple(MODALITIES),
}


def rate(modalities: Sequence[str], size: int, first: int, count: int) -> float:
    """Samples per second of CPU time, for samples ``first`` and following."""
    started = time.process_time()
    render(0, range(first, first + count), size, modalities)
    return count / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=64, help="samples per measurement")
    parser.add_argument("--sizes", default="64,128", help="pixels, with commas")
    parser.add_argument("--repeat", type=int, default=3, help="measurements, of which the median is printed")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    torch.set_num_threads(1)
    render(0, range(arguments.count), 16, tuple(MODALITIES))  # first calls are slow
    print(f"{'samples per second of one core':32}" + "".join(f"{f'{size} px':>9}" for size in sizes))
    for name, modalities in SETS.items():
        rates = [
            statistics.median(
                rate(modalities, size, turn * arguments.count, arguments.count) for turn in range(arguments.repeat)
            )
            for size in sizes
        ]
        print(f"{name:32}" + "".join(f"{value:9.1f}" for value in rates), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"most memory held {peak} MB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
