"""A home whose cache holds the first samples of the benchmark, rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_faces.benchmark.renders import Renders
from anchor_faces.benchmark.samples import Samples, benchmark_samples
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
