"""EfficientNet-Lite0 with random weights, in place of the published ones, which are not on every machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from anchor_hub.metrics import efficientnet
from anchor_hub.networks.efficientnet_lite import EfficientNetLite0
from anchor_hub.training.generators import frozen_features, projected_critic, stopping


def random_network(device: torch.device | str = "cpu") -> EfficientNetLite0:
    """Always the same weights, which keep the scale of what passes."""
    network = EfficientNetLite0()
    draws = torch.Generator().manual_seed(11)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=draws) * (2 / fan) ** 0.5
    return network.eval().requires_grad_(False).to(device)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random network is found wherever the published one is looked for."""
    for module in (frozen_features, efficientnet):
        monkeypatch.setattr(module, "load_efficientnet", lambda device="cpu": random_network(device))
    monkeypatch.setattr(frozen_features, "LEAST", 64)
    for module in (projected_critic, stopping):
        monkeypatch.setattr(module, "find_efficientnet", lambda: Path("here"))
