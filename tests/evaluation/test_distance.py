from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.errors import DataError, HubMismatchError, MissingPartError, UsageError
from anchor_hub.evaluation.distance import model_distance, pictures_of
from anchor_hub.metrics.image import l1
from anchor_hub.networks.efficientnet_lite import EfficientNetLite0
from tests.tiny import tiny_domain, tiny_hub


def test_the_mean_over_shared_latents() -> None:
    hub = tiny_hub()
    sketch, seg = tiny_domain("sketch", hub), tiny_domain("seg", hub)
    result = model_distance(sketch, seg, metrics=("l1", "l2"), count=10, seed=3, batch=4)
    first, second = result.pairs[0].metrics
    with torch.no_grad():
        latents = hub.expand(hub.sample(10, seed=3))
        pictures = [pictures_of(domain, latents) for domain in (sketch, seg)]
    assert first.name == "model_distance_l1" and first.value == pytest.approx(float(l1(*pictures).mean()), rel=1e-12)
    assert first.counts == {"latents": 10} and first.seed == 3 and second.value is not None
    # Symmetric, and the same whatever the batch.
    swapped = model_distance(seg, sketch, metrics=("l1",), count=10, seed=3, batch=10)
    assert swapped.pairs[0].metrics[0].value == pytest.approx(first.value, rel=1e-12)
    assert (result.kind, result.pairs[0].source, result.pairs[0].target) == ("distance", "sketch", "seg")


def test_a_model_is_at_no_distance_from_itself() -> None:
    hub = tiny_hub()
    face = tiny_domain("face", hub)  # decodes through the hub itself
    (metric,) = model_distance(hub, face, metrics=("l1",), count=3).pairs[0].metrics
    assert metric.value == 0.0
    (metric,) = model_distance(hub, tiny_domain("sketch", hub), metrics=("l1",), count=3).pairs[0].metrics
    assert metric.value is not None and metric.value > 0.01


def test_wrong_calls() -> None:
    hub = tiny_hub()
    with pytest.raises(HubMismatchError):
        model_distance(tiny_hub(seed=5), tiny_domain("sketch", hub), metrics=("l1",), count=2)
    with pytest.raises(MissingPartError, match="no decoder"):
        model_distance(hub, tiny_domain("encode-only", hub), metrics=("l1",), count=2)
    with pytest.raises(UsageError, match="knows no 'fid'"):
        model_distance(hub, tiny_domain("sketch", hub), metrics=("fid",), count=2)
    with pytest.raises(DataError, match="32 pixels"):
        model_distance(hub, tiny_domain("sketch", hub), count=2)


def test_the_stand_in_for_lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are the network's own distances; here with random weights in place of ImageNet's."""
    hub = tiny_hub()
    torch.manual_seed(0)
    network = EfficientNetLite0().eval().requires_grad_(False)
    for weight in network.parameters():  # they start at 0
        torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    monkeypatch.setattr("anchor_hub.metrics.efficientnet.load_efficientnet", lambda *paths, device: network)
    sketch = tiny_domain("sketch", hub)
    (metric,) = model_distance(hub, sketch, metrics=("efficientnet",), count=3, seed=1).pairs[0].metrics
    (same,) = model_distance(hub, tiny_domain("face", hub), metrics=("efficientnet",), count=3).pairs[0].metrics
    pictures = [pictures_of(model, hub.expand(hub.sample(3, seed=1))).float() / 127.5 - 1 for model in (hub, sketch)]
    features = [[F.normalize(found, dim=1) for found in network.features(part)] for part in pictures]
    cosines = [(one * other).sum(1).mean() for one, other in zip(*features, strict=True)]
    assert metric.name == "model_distance_efficientnet_lite0"
    assert 1e-4 < float(metric.value or 0) == pytest.approx(1 - float(sum(cosines)) / len(cosines), abs=1e-6)
    assert same.value == pytest.approx(0, abs=1e-6)
