"""A home whose cache holds the first samples of the benchmark, rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.judge_kinds import JudgeKind
from anchor_faces.benchmark.renders import Renders
from anchor_faces.benchmark.samples import Samples, benchmark_samples
from anchor_faces.benchmark.scoring import Scores
from anchor_hub.bundles.base import BundleManifest, open_bundle
from anchor_hub.evaluation.result import Metric
from anchor_hub.system.home import Home

COUNT = 24
DOMAINS = ("face", "seg", "sketch", "landmark")
PICTURES = ("toon", "cat")


@pytest.fixture(scope="session")
def bench_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "home"
    benchmark_samples(Home(folder), DOMAINS, COUNT)
    return folder


@pytest.fixture(scope="session")
def samples(bench_home: Path) -> Samples:
    return benchmark_samples(Home(bench_home), DOMAINS, COUNT)


@pytest.fixture(scope="session")
def renders(samples: Samples) -> Renders:
    return samples.truth


@pytest.fixture(scope="session")
def creatures(bench_home: Path) -> Samples:
    """The same samples with their toons and cats."""
    return benchmark_samples(Home(bench_home), PICTURES, COUNT)


def named(scores: Scores) -> dict[str, Metric]:
    return {metric.name: metric for metric in scores.metrics}


def checked_manifest(kind: JudgeKind, largest: int) -> BundleManifest:
    """The manifest of the package's judges, which take ``largest`` bytes at most, are whole and say what made them."""
    bundle = open_bundle(kind.folder, "judges")
    assert not bundle.verify()
    assert sum(path.stat().st_size for path in kind.folder.iterdir()) <= largest
    manifest = bundle.manifest
    data_set = manifest.provenance["data_set"]
    assert (data_set["renderer"], data_set["seed"]) == ("anchor_faces", 0)
    assert manifest.license == {"weights": "Apache-2.0", "data": "Apache-2.0 (rendered, no photographs)"}
    return manifest


def damaged(pictures: Tensor) -> list[Tensor]:
    """The pictures, uint8 ``[N, 3, H, W]``, with noise, blurred and tinted, each slightly."""
    values = pictures.float()
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)) * 6
    tint = torch.tensor([1.06, 1.0, 0.94])[:, None, None]
    blurred = F.avg_pool2d(F.pad(values, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return [changed.round().clamp(0, 255).byte() for changed in (values + noise, blurred, values * tint)]
