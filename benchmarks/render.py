"""Measures how fast faces are rendered: images per second of one core, by size and modalities.

    python benchmarks/render.py [--count 64] [--sizes 64,128]

Prints the rate in CPU time, so that other work on the machine matters little; writing files is not included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch

from anchor_faces.rendering import MODALITIES, render

SETS: dict[str, Sequence[str]] = {
    "landmarks alone": ("landmark",),
    "face, seg": ("face", "seg"),
    "face, seg, sketch, landmark": ("face", "seg", "sketch", "landmark"),
    "toon": ("toon",),
    "cat": ("cat",),
    "everything": tuple(MODALITIES),
}


def rate(modalities: Sequence[str], size: int, count: int) -> float:
    """Samples per second of CPU time."""
    started = time.process_time()
    render(0, range(count), size, modalities)
    return count / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=32, help="samples per measurement")
    parser.add_argument("--sizes", default="64,128", help="pixels, with commas")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    render(0, [0], 16, tuple(MODALITIES))  # first calls are slow
    print(
        f"{'samples per second of one core':32}" + "".join(f"{size + ' px':>9}" for size in arguments.sizes.split(","))
    )
    for name, modalities in SETS.items():
        rates = [rate(modalities, int(size), arguments.count) for size in arguments.sizes.split(",")]
        print(f"{name:32}" + "".join(f"{value:9.1f}" for value in rates))


if __name__ == "__main__":
    main()
