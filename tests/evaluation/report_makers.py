"""A report folder as an evaluation leaves it: twelve samples of noise, real records, no hub needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from anchor_hub.evaluation.result import (
    DataRecord,
    ExtractorRecord,
    HubRecord,
    Metric,
    PairResult,
    RunResult,
    SampleResult,
    write_samples,
)

SHA = "ab" * 32
#: A name that would run, end its element or break out of its attribute where a page did not escape it.
HOSTILE = """x"'><script>document.title="owned"</script><img src=x onerror=alert(1)>&amp;"""


def noise(path: Path, seed: int, size: int = 16) -> Path:
    """A PNG of coloured noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def stats_lines(count: int = 30) -> str:
    lines = []
    for step in range(1, count + 1):
        losses = {"edges": 2 / step, "r1": 0.1}
        lines.append(json.dumps({"step": step, "images": step * 16, "images_per_second": 40.0, "losses": losses}))
    return "\n".join(lines) + "\n"


def report_folder(folder: Path, *, count: int = 12, name: str = "{:06d}", size: int = 16, **changes: Any) -> Path:
    """A folder with ``metrics.json``, samples, outputs and a training log; psnr rises with the sample's number."""
    report = folder / "report"
    samples = []
    for index in range(count):
        given = noise(folder / "input" / f"{index}.png", index, size)
        truth = noise(folder / "truth" / f"{index}.png", 1000 + index, size)
        output = noise(report / "outputs" / f"{index}.png", 2000 + index, size)
        samples.append(
            SampleResult(
                index=index,
                name=name.format(index),
                input=str(given),
                outputs=[str(output.relative_to(report))],
                truth=str(truth),
                scores={"psnr": 10.0 + index, "l1": None if index == 0 else 1.0 - index / 100},
            )
        )
    write_samples(report / "samples.jsonl", samples)
    (report / "stats-seg.jsonl").write_text(stats_lines())
    run = RunResult(
        kind="pairs",
        title=changes.pop("title", "mask to photo"),
        hub=HubRecord(name="tiny", fingerprint=SHA),
        data=DataRecord(path="pairs", count=count, sha256=SHA),
        pairs=changes.pop("pairs", [pair(count)]),
        settings=changes.pop("settings", {"styles": 0, "seed": 3}),
        versions={"anchor-hub": "0.1.0"},
        machine="CPU, 1 thread",
        files={"stats:seg": "stats-seg.jsonl"},
        **changes,
    )
    run.write(report)
    return report


def pair(count: int = 12, **changes: Any) -> PairResult:
    """A translation between domains that no machine has, so that pictures are shown as they are."""
    metrics = [
        Metric(name="psnr", value=15.5, higher_is_better=True, unit="dB", label="PSNR", counts={"pairs": count}),
        Metric(name="l1", value=0.94, higher_is_better=False, label="L1", counts={"pairs": count}),
        Metric(
            name="kid_x1000",
            value=12.25,
            higher_is_better=False,
            label="KID ×10³",
            unit="x1000",
            extractor=ExtractorRecord(name="inception-v3-compat", sha256="cd" * 32),
            resize="bicubic 299",
            settings={"subset_size": 100},
            counts={"real": 5000, "fake": 5000},
            seed=7,
            floor=0.0,
            chance=50.0,
            details={"deviation": 0.8, "by class": {"cat": {"kid": 1.5}, "dog": {"kid": 2.5, "images": 9}}},
        ),
    ]
    given: dict[str, Any] = {"source": "mask", "target": "photo", "metrics": metrics, "samples": "samples.jsonl"}
    return PairResult(**{**given, **changes})
