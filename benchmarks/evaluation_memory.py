"""Measures memory and speed of an evaluation of many images, through `anchor evaluate`'s own code from end to end.

    python benchmarks/evaluation_memory.py [--counts 500,5000,50000] [--metrics l1,psnr,fd,mfd] [--folder big/]

Every count runs in its own process, over hard links to a few pictures, and writes the report, too. The hub is tiny; the
MobileNetV2 is seeded (its numbers mean nothing, but its features are as long as the real ones). Prints peak memory, the
growth in bytes per image since the count before, and images per second. `--extractor` takes another network (name or
path), `--size` another size of hub.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from anchor_hub.bundles import tensorfile
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.evaluation.commands import PairsRequest, evaluate_pairs
from anchor_hub.evaluation.plan import Networks
from anchor_hub.evaluation.report import write_report
from anchor_hub.evaluation.running import Options
from anchor_hub.hubs.base import Hub
from anchor_hub.metrics.mobilenet import MobileNetV2
from anchor_hub.modality import build_modality
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

FEW, CLASSES, CHANNELS = 16, 4, 8


def make_home(home: Path, size: int) -> None:
    """A hub with random weights, and two rgb domains on it."""
    torch.manual_seed(0)
    channels = {side: CHANNELS for side in (4, 8, 16, 32, 64, 128, 256) if side <= size}
    config = StyleGAN2Config(size=size, latent_dim=16, mapping_layers=2, channels=channels)
    hub = Hub.from_generator(Generator(config), "memory", samples=1000)
    hub.save(home / "hubs" / "memory")
    for name in ("left", "right"):
        domain = AnchoredDomain.build(
            name, build_modality({"name": "rgb"}), hub, encoder={"name": "compact", "options": {"width": 4}},
            regressor="hub", structure_layers=4,
        )  # fmt: skip
        domain.eval().save(home / "domains" / name)


def make_pairs(folder: Path, count: int, size: int) -> None:
    """``count`` pairs in class folders that are hard links to a few pictures."""
    generator = np.random.default_rng(0)
    for domain in ("left", "right"):
        (folder / domain).mkdir(parents=True)
        for number in range(CLASSES):
            (folder / domain / f"class-{number}").mkdir()
        few = [folder / f"{domain}-{number}.png" for number in range(FEW)]
        for path in few:
            cells = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(np.kron(cells, np.ones((size // 8, size // 8, 1), dtype=np.uint8))).save(path)
        for index in range(count):
            os.link(few[index * 7 % FEW], folder / domain / f"class-{index % CLASSES}" / f"{index:06d}.png")


class Peak:
    """The largest resident memory of the process in MB: as a whole, and (on Linux) without pages of mapped files, which
    the system can take back."""

    def __init__(self) -> None:
        self.own = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            try:
                text = Path("/proc/self/status").read_text()
            except OSError:
                return
            lines = dict(line.split(":", 1) for line in text.splitlines() if line.startswith("Rss"))
            self.own = max(self.own, int(lines["RssAnon"].split()[0]) / 1024)

    def result(self) -> dict[str, float]:
        self._stop.set()
        self._thread.join()
        unit = 1024 if sys.platform != "darwin" else 1024 * 1024
        return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, "own": self.own}


def run_one(arguments: argparse.Namespace) -> None:
    """One evaluation and its report; prints its findings as JSON."""
    torch.set_num_threads(1)
    folder = Path(arguments.folder)
    peak, began, marks = Peak(), time.perf_counter(), {}
    request = PairsRequest("left", "right", folder / "pairs", arguments.metrics, device="cpu")
    networks = Networks((arguments.extractor,)) if arguments.extractor else Networks()
    evaluate_pairs(request, folder / "report", networks, Options(batch=arguments.batch, workers=arguments.workers))
    marks["evaluation"] = time.perf_counter() - began
    write_report(folder / "report")
    marks["report"] = time.perf_counter() - began - marks["evaluation"]
    print(json.dumps({**peak.result(), **marks}))


def measure(arguments: argparse.Namespace, count: int, top: Path) -> dict[str, float]:
    """The findings of ``run_one`` over ``count`` pairs in its own process; removes the files afterwards."""
    with tempfile.TemporaryDirectory(dir=top, prefix=f"{count}-") as folder:
        make_pairs(Path(folder) / "pairs", count, arguments.size)
        command = [sys.executable, __file__, "--one", "--folder", folder, "--metrics", arguments.metrics]
        command += ["--extractor", arguments.extractor, "--batch", str(arguments.batch)]
        command += ["--workers", str(arguments.workers)]
        done = subprocess.run(
            command, env={**os.environ, "ANCHOR_HOME": str(top / "home")}, stdout=subprocess.PIPE, text=True, check=True
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--counts", default="500,5000,50000", help="images, with commas")
    parser.add_argument("--metrics", default="l1,psnr,fd,mfd,kd,mkd", help="as anchor evaluate takes them")
    parser.add_argument("--extractor", default="", help="path or name [default: a seeded MobileNetV2]")
    parser.add_argument("--size", type=int, default=32, help="side of the tiny hub and the pictures, in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where the files go while it runs [default: a temporary folder]")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        top = Path(name)
        make_home(top / "home", arguments.size)
        wanted = {name.strip() for name in arguments.metrics.split(",")}
        if not arguments.extractor and wanted & {"fd", "kd", "mfd", "mkd"}:
            torch.manual_seed(0)
            arguments.extractor = str(top / "seeded.safetensors")
            Path(arguments.extractor).write_bytes(tensorfile.write(MobileNetV2().state_dict(), top))
        before: tuple[int, float] | None = None
        print(f"{'images':>8}{'peak MB':>10}{'own MB':>9}{'bytes/image':>13}{'images/s':>10}{'report s':>10}")
        for count in (int(value) for value in arguments.counts.split(",")):
            found = measure(arguments, count, top)
            growth = "-"
            if before is not None and count > before[0]:
                growth = f"{(found['own'] - before[1]) * 1024 * 1024 / (count - before[0]):.0f}"
            before = (count, found["own"])
            print(
                f"{count:8}{found['peak']:10.0f}{found['own']:9.0f}{growth:>13}{count / found['evaluation']:10.1f}"
                f"{found['report']:10.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
