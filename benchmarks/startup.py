"""Measures the start of the command line, as ratios that hold on every processor.

    python benchmarks/startup.py [--pairs 15] [--json startup.json]

Two ratios of processor time and of wall-clock time, each of whole processes, including the start of the interpreter:

- `anchor --help` with 20 more plugins installed, to `python -c "import typer, rich, pluggy"`; the limit is 1.5.
- `anchor domains list` with 100 domains in the home, to the same command with 10.

The two commands of a ratio run in turns, after a warm-up that also writes their bytecode. The ratio is the median of
the pairs' ratios: other work on the machine slows both halves of a pair and so matters little.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anchor_hub.bundles.base import open_bundle
from anchor_hub.plugins.finding import bundle_folder

#: Limit of the ratio of `anchor --help` to the bare import.
LIMIT = 1.5
PLUGINS = 20
FEW, MANY = 10, 100
IMPORT = "import typer, rich, pluggy"
# What the script `anchor` runs.
ANCHOR = "import sys; from anchor_cli.__main__ import main; sys.exit(main())"

PLUGIN = """
from anchor_hub import hookimpl
from anchor_hub.specs import CommandSpec

@hookimpl
def anchor_register_commands(register):
    register(CommandSpec("extra-{index}", target="torch:nothing", help="Extra {index}."))
"""
MANIFEST = """
format_version: 1
kind: domain
name: {name}
hub: faces-64
hub_fingerprint: {fingerprint}
architecture: {{name: anchored, hub: faces-64}}
modality: {{name: rgb}}
files: {{README.md: {digest}}}
"""


def install_plugins(folder: Path, count: int) -> Path:
    """`folder`, filled with `count` installed distributions that have one plugin each."""
    for index in range(count):
        info = folder / f"extra_{index}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"extra_plugin_{index}.py").write_text(PLUGIN.format(index=index))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: extra-{index}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[anchor_hub]\nextra-{index} = extra_plugin_{index}\n")
    return folder


def fill_home(folder: Path, count: int) -> Path:
    """`folder`, filled as a home with `count` domains: manifests and cards, since listing may read nothing else."""
    fingerprint = open_bundle(bundle_folder("faces-64", "hub")).manifest.hub_fingerprint
    for index in range(count):
        bundle = folder / "domains" / f"extra-{index}"
        bundle.mkdir(parents=True)
        card = f"# extra-{index}\n".encode()
        (bundle / "README.md").write_bytes(card)
        digest = hashlib.sha256(card).hexdigest()
        (bundle / "bundle.yaml").write_text(
            MANIFEST.format(name=f"extra-{index}", fingerprint=fingerprint, digest=digest)
        )
    return folder


class Command:
    """A program text for `python -c` with arguments and additional environment variables."""

    def __init__(self, program: str, *arguments: str, **environment: str) -> None:
        self.call = [sys.executable, "-c", program, *arguments]
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {**inherited, **environment}

    def output(self) -> str:
        """The text that the command prints; ends this benchmark with the command's error where the command fails."""
        done = subprocess.run(self.call, env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(self.call[1:])} fails: {done.stderr.strip()}")
        return done.stdout

    def seconds(self) -> dict[str, float]:
        """Seconds that one run takes: `wall`, and `cpu` (user and system) where the system reports it."""
        began = time.perf_counter()
        process = subprocess.Popen(
            self.call, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if not hasattr(os, "wait4"):
            process.wait()
            return {"wall": time.perf_counter() - began}
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return {"wall": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime}


def compare(ours: Command, other: Command, pairs: int) -> dict[str, Any]:
    """For `cpu` and `wall`: median and quartiles of the ratios of `pairs` runs in turns, and the median seconds."""
    runs: list[tuple[dict[str, float], dict[str, float]]] = []
    for index in range(pairs + 2):
        if index % 2:
            mine, theirs = ours.seconds(), other.seconds()
        else:
            theirs, mine = other.seconds(), ours.seconds()
        runs.append((mine, theirs))
    del runs[:2]  # the warm-up
    found: dict[str, Any] = {}
    for clock in runs[0][0]:
        ratios = [mine[clock] / theirs[clock] for mine, theirs in runs]
        found[clock] = {
            "ratio": statistics.median(ratios),
            "quartiles": statistics.quantiles(ratios, n=4)[::2],
            "seconds": statistics.median(mine[clock] for mine, _ in runs),
            "other_seconds": statistics.median(theirs[clock] for _, theirs in runs),
        }
    return found


def machine() -> dict[str, Any]:
    """The facts that the numbers depend on: processor, cores, system, Python, load of the last minute."""
    processor = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": processor or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def measure(pairs: int) -> dict[str, dict[str, Any]]:
    """Both comparisons, by what is compared."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        site = install_plugins(folder / "site", PLUGINS)
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        homes = {count: str(fill_home(folder / f"home-{count}", count)) for count in (0, FEW, MANY)}
        # The bare import sees the same path: its length costs both the same.
        bare = Command(IMPORT, PYTHONPATH=path)
        helped = Command(ANCHOR, "--help", PYTHONPATH=path, ANCHOR_HOME=homes[0])
        listed = {count: Command(ANCHOR, "domains", "list", ANCHOR_HOME=homes[count]) for count in (FEW, MANY)}
        bare.output()
        if f"extra-{PLUGINS - 1}" not in helped.output():
            sys.exit("the plugins of this benchmark are not found: `anchor plugins` says why")
        for count, command in listed.items():
            found = sum(line.startswith("extra-") and "ready" in line for line in command.output().splitlines())
            if found != count:
                sys.exit(f"{found} of {count} domains are listed as ready")
        return {
            f"anchor --help, {PLUGINS} plugins more, to {IMPORT}": compare(helped, bare, pairs),
            f"anchor domains list, {MANY} domains to {FEW}": compare(listed[MANY], listed[FEW], pairs),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=15, help="pairs of runs per ratio, at least 2 (default: 15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write ratios and the machine's facts here")
    given = parser.parse_args(arguments)
    if given.pairs < 2:
        parser.error("--pairs must be 2 or more")
    facts = machine()
    results = measure(given.pairs)
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    for what, found in results.items():
        print(what)
        for clock, values in found.items():
            print(f"  {clock:4} {line(values)}")
    first = next(iter(results.values()))
    clock = "cpu" if "cpu" in first else "wall"
    verdict = "holds" if first[clock]["ratio"] <= LIMIT else "is exceeded"
    print(f"the limit of {LIMIT} for anchor --help ({clock}) {verdict}")
    if given.json is not None:
        report = {"machine": facts, "pairs": given.pairs, "limit": LIMIT, "ratios": results}
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def line(values: Mapping[str, Any]) -> str:
    """One clock's ratio, quartiles and seconds as text."""
    low, high = values["quartiles"]
    seconds = f"{values['seconds']:.3f} s to {values['other_seconds']:.3f} s"
    return f"{values['ratio']:.2f} (quartiles {low:.2f} to {high:.2f}; medians {seconds})"


if __name__ == "__main__":
    main()
