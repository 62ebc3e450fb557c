"""Tiny bundles for tests: real ones, written by write_bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from anchor_hub.bundles.base import write_bundle

FINGERPRINT = "ab" * 32


def tiny_hub(folder: Path, name: str = "tiny", **overrides: Any) -> Path:
    values = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.zeros(3)}
    options: dict[str, Any] = {
        "kind": "hub",
        "name": name,
        "tensors": {"generator": values},
        "architecture": {"name": "stylegan2", "size": 8},
        "hub_fingerprint": FINGERPRINT,
        "card": f"# {name}\n",
        "provenance": {"seed": 0, "rate": 1e-3},
    }
    return write_bundle(folder, **{**options, **overrides})


def tiny_domain(folder: Path, name: str = "spot", **overrides: Any) -> Path:
    own = {"kind": "domain", "architecture": {"name": "anchored"}, "modality": {"name": "rgb"}, "hub": "tiny"}
    return tiny_hub(folder, name, **{**own, **overrides})


def tiny_prior(folder: Path, name: str = "content", **overrides: Any) -> Path:
    options: dict[str, Any] = {
        "kind": "prior", "name": name, "tensors": {"network": {"weight": torch.ones(2, 3)}},
        "architecture": {"name": "toy-content", "size": 8}, "card": f"# {name}\n",
    }  # fmt: skip
    return write_bundle(folder, **{**options, **overrides})


def tiny_translator(folder: Path, name: str = "dog-cat", **overrides: Any) -> Path:
    options: dict[str, Any] = {
        "kind": "translator", "name": name, "tensors": {"networks": {"weight": torch.ones(2)}},
        "architecture": {"name": "toy-pair"}, "card": f"# {name}\n",
        "source": {"name": "dog", "modality": {"name": "rgb"}},
        "targets": [{"name": "cat", "modality": {"name": "rgb"}}],
    }  # fmt: skip
    return write_bundle(folder, **{**options, **overrides})
