"""Measures the pieces of work that users wait for, beside a plain formulation of the same and this machine's limit.

    python -m benchmarks [--only NAME ...] [--json FILE] [--against CHECKOUT]

Every row runs in processes of its own, after a warm-up, in turns with its plain formulation and with the convolutions
that set the limit. Medians are printed. docs/performance.md explains the columns. A row is a few lines in
benchmarks/rows.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.rows import ROWS, Row

ROOT = Path(__file__).resolve().parents[1]
# Of the code that is measured only the library comes from a checkout: the benchmarks are always this one's.
START = """
import sys, types
sys.path[:1] = {paths!r}
package = types.ModuleType("benchmarks")
package.__path__ = [{benchmarks!r}]
sys.modules["benchmarks"] = package
from benchmarks.measuring import main
main()
"""


class Side:
    """A process that holds one side of a row."""

    def __init__(self, row: str, side: str, threads: int, cache: Path, source: Path = ROOT) -> None:
        folders = [str(source / part) for part in (".", "plugins", "domains", "cli")]
        program = START.format(paths=folders, benchmarks=str(ROOT / "benchmarks"))
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        # Commands that the benchmark starts find the same checkout.
        environment["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment["ANCHOR_HOME"] = str(cache / "home")
        self.name = f"{row} ({side})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, row, side, str(threads), str(cache)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=cache,
        )  # fmt: skip
        self.facts = self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended early, see above (exit code {self.process.wait()})")
        return json.loads(line)

    def ask(self, *order: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(order) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(row: Row, limit: Side, cache: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Everything about one row; the sides run in turns, in changing order."""
    sides = {"ours": Side(row.name, "ours", given.threads, cache)}
    if row.plain is not None:
        sides["plain"] = Side(row.name, "plain", given.threads, cache)
    if given.against is not None:
        sides["before"] = Side(row.name, "ours", given.threads, cache, given.against)
    facts = sides["ours"].facts
    differences = compare(row, sides, cache)
    for side in sides.values():
        side.ask("warm")
    flops = sides["ours"].ask("flops")["flops"]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    rates: list[float] = []
    began = time.monotonic()

    def enough() -> bool:
        """Three pairs, more within the time, two where they are very long."""
        spent, done = time.monotonic() - began, len(rates)
        few = done < min(3, given.pairs)
        return done >= given.pairs or (done >= 2 and spent > given.seconds * (3 if few else 1))

    while not enough():
        names = list(sides) if len(rates) % 2 else list(sides)[::-1]
        for name in names:
            runs[name].append(sides[name].ask("run"))
        way = "training" if facts["training"] else "forward"
        rates.append(limit.ask(facts["precision"], way)["rate"] if facts["precision"] else 0.0)
    for side in sides.values():
        side.end()
    clock = "cpu" if given.threads == 1 else "wall"
    found: dict[str, Any] = {"what": row.what, **facts, "pairs": len(rates), "differences": differences}
    for name, values in runs.items():
        found[name] = {key: statistics.median(run[key] for run in values) for key in ("cpu", "wall")}
        found[name]["units"] = sides[name].facts["units"]
        found[name]["memory"] = max(run["memory"] for run in values)
    for name in sides:
        if name != "ours":
            scale = facts["units"] / sides[name].facts["units"]
            ratios = [scale * other[clock] / own[clock] for own, other in zip(runs["ours"], runs[name], strict=True)]
            found[f"{name}_ratio"] = statistics.median(ratios)
            found[f"{name}_quartiles"] = statistics.quantiles(ratios, n=4)[::2]
    found["flops_per_unit"] = flops / facts["units"]
    if flops:
        shares = [flops / 1e9 / own[clock] / rate for own, rate in zip(runs["ours"], rates, strict=True)]
        found["limit_gflops"], found["share"] = statistics.median(rates), statistics.median(shares)
    return found


def compare(row: Row, sides: Mapping[str, Side], cache: Path) -> dict[str, float]:
    """The largest differences of the sides' outputs from ours; ends the benchmark where the plain side's is too large.

    Differences are shares of the largest value where that is above 1.
    """
    import torch

    outputs = {}
    for name, side in sides.items():
        if side.facts["checked"]:
            file = cache / f"{name}.pt"
            side.ask("output", str(file))
            outputs[name] = torch.load(file, weights_only=True)
            file.unlink()
    own = outputs.pop("ours", None)
    if own is None:
        return {}
    scale = max(1.0, float(own.abs().max()))
    found = {}
    for name, other in outputs.items():
        same_shape = other.shape == own.shape
        found[name] = float((own - other).abs().max()) / scale if same_shape else float("inf")
    if not found.get("plain", 0.0) <= row.tolerance:
        sys.exit(f"{row.name}: its output differs from the plain formulation's by {found['plain']:.1e}")
    return found


HEAD = ("row", "work", "ms per unit", "units/s", "peak MB", "GFLOP per unit", "of the limit", "x plain")
BEFORE = ("before ms", "before MB", "x before")


def line(name: str, found: Mapping[str, Any], clock: str, against: bool) -> list[str]:
    """One row of the table, as texts."""
    milliseconds = found["ours"][clock] / found["units"] * 1e3
    flops = found["flops_per_unit"] / 1e9
    cells = [
        name, found["what"] + (f" ({found['note']})" if found["note"] else ""), f"{milliseconds:.4g}",
        f"{1e3 / milliseconds:.3g}", f"{found['ours']['memory']:.0f}", f"{flops:.3g}" if flops else "–",
        f"{found['share']:.0%}" if "share" in found else "–",
        f"{found['plain_ratio']:.2f}" if "plain_ratio" in found else "–",
    ]  # fmt: skip
    if against:
        before = found["before"]
        cells += [f"{before[clock] / before['units'] * 1e3:.4g}", f"{before['memory']:.0f}"]
        cells.append(f"{found['before_ratio']:.2f}")
    return cells


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="only this row; may be given several times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write numbers and the machine's facts here")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="also measure the code of another checkout")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1, by processor time)")
    parser.add_argument("--pairs", type=int, default=9, help="pairs of runs of a row, at most (default: 9)")
    parser.add_argument("--seconds", type=float, default=5, help="no new pair after so long, from 3 on (default: 5)")
    parser.add_argument("--list", action="store_true", help="only print the rows' names")
    given = parser.parse_args(arguments)
    if unknown := set(given.only or ()) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if given.against is not None and not (given.against / "anchor_hub").is_dir():
        parser.error(f"--against {given.against}: no checkout of this repository")
    if given.against is not None:
        given.against = given.against.resolve()
    if given.list:
        print("\n".join(f"{row.name:16} {row.what}" for row in ROWS.values()))
        return
    found, began = machine.facts(given.threads), time.monotonic()
    clock = "cpu" if given.threads == 1 else "wall"
    rows: dict[str, Any] = {}
    loops = [machine.calibration_loop() for _ in range(3)]
    print(", ".join(f"{key} {value}" for key, value in found.items()), flush=True)
    against = given.against is not None
    titles = HEAD + BEFORE if against else HEAD
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        limit = Side("convolutions", "limit", given.threads, Path(temporary))
        for name, row in ROWS.items():
            if not given.only or name in given.only:
                rows[name] = measure(row, limit, Path(temporary), given)
                loops += [machine.calibration_loop() for _ in range(3)]
                print("| " + " | ".join(line(name, rows[name], clock, against)) + " |", flush=True)
        limits = limit.facts
        limit.end()
    found["load_after"] = machine.load()
    reasons = machine.busy(found, loops)
    for name in ("fp32", "bf16"):
        best = {key: rate for key, rate in limits["survey"].items() if key.startswith(name)}
        for way in ("forward", "training"):
            fastest = max((key for key in best if f" {way} " in key), key=lambda key: best[key], default=None)
            if fastest:
                print(f"limit {fastest}: {best[fastest]:.0f} GFLOP/s")
    after = "" if found["load_after"] is None else f", load {found['load_after']:.1f} at the end"
    print(f"{'processor time' if clock == 'cpu' else 'wall-clock time'}, {time.monotonic() - began:.0f} s{after}")
    for reason in reasons:
        print(f"The machine is busy: {reason}.")
    if given.json is not None:
        report = {"machine": found, "busy": reasons, "calibration_ms": loops, "limits": limits, "rows": rows}
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
