"""Published architectures at full size, with rebuilt weights: import, sample, fingerprint, time and memory. Minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_hub.hubs.base import Hub
from tests.checkpoints import full_size

pytestmark = pytest.mark.slow

#: Peak memory of an import, in sizes of the checkpoint.
MEMORY = 2.5
#: Processor seconds that importing 1024 px may take (on an idle machine: seconds of the clock).
SECONDS = 30

# Run apart, so that the peak is the import's own; what the modules themselves take is measured before.
IMPORT = """
import importlib, json, resource, sys, time
import torch
from anchor_hub.checkpoints import families, importing
import anchor_hub.hubs.biggan, anchor_hub.hubs.stylegan2
torch.set_num_threads(1)
families.families()
torch.nn.functional.conv2d(torch.randn(1, 3, 8, 8), torch.randn(3, 3, 3, 3)) + torch.linalg.eigh(torch.eye(3))[0].sum()
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
clock = time.process_time()
result = importing.import_hub(sys.argv[1], "full", output=sys.argv[2])
seconds = time.process_time() - clock
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
print(json.dumps({"fingerprint": result.fingerprint, "seconds": seconds, "memory": memory, "summary": result.summary}))
"""


def imported(source: Path, output: Path) -> dict[str, Any]:
    pytest.importorskip("resource", reason="peak memory is measured with getrusage")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", IMPORT, str(source), str(output)], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@torch.no_grad()
def check(source: Path, weights: Path, tmp_path: Path, label: int | str | None = None) -> tuple[Hub, dict[str, Any]]:
    """Import twice: the same fingerprint within the limits; the bundle makes the same picture each time."""
    first, second = imported(source, tmp_path / "first"), imported(source, tmp_path / "second")
    assert first["fingerprint"] == second["fingerprint"]
    size = weights.stat().st_size
    assert first["memory"] <= MEMORY * size, f"{first['memory'] / size:.2f} sizes of the file"
    assert first["seconds"] < SECONDS
    hub = Hub.load(tmp_path / "first")
    assert hub.fingerprint == first["fingerprint"] == hub.current_fingerprint()
    view = hub if label is None else hub.of_class(label)
    image = view.image(view.sample(1, seed=0))
    assert image.shape == (1, 3, hub.size, hub.size) and torch.isfinite(image).all() and image.std() > 0.01
    return hub, first


@pytest.mark.parametrize("parts", [("g_ema",), ("g", "g_ema", "d")], ids=["average", "all"])
def test_stylegan2_config_f_of_1024_px(parts: tuple[str, ...], tmp_path: Path) -> None:
    path = full_size.stylegan2(tmp_path / "stylegan2-ffhq-config-f.pt", 1024, parts=parts)
    hub, found = check(path, path, tmp_path)
    assert (hub.size, hub.num_latents) == (1024, 18) and "30.4 million" in found["summary"]
    assert ("with discriminator" in found["summary"]) == ("d" in parts)


def test_stylegan2_ada_of_512_px(tmp_path: Path) -> None:
    path = full_size.stylegan2_ada(tmp_path / "afhqcat.pkl", 512)
    hub, found = check(path, path, tmp_path)
    assert (hub.size, hub.num_latents) == (512, 16) and "with discriminator" in found["summary"]


def test_biggan_deep_of_256_px(tmp_path: Path) -> None:
    source = full_size.biggan_deep(tmp_path / "biggan-deep-256", full_size.BIGGAN_DEEP_256)
    hub, found = check(source, source / "pytorch_model.bin", tmp_path, "tabby")
    assert (hub.size, hub.num_latents, len(hub.classes)) == (256, 1, 1000) and "55.9 million" in found["summary"]
    assert hub.classes[281] == "tabby" and hub.of_class("tabby") is hub.of_class(281)
