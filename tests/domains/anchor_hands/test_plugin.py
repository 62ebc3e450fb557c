"""What the package of hands registers, and that its names are those of the hub's classes."""

from __future__ import annotations

import pytest

from anchor_hands.plugin import HUB, SIGNS
from anchor_hub.bundles.base import open_bundle
from anchor_hub.hubs.classes import read_classes
from anchor_hub.plugins.registry import registry


def test_a_photograph_and_a_mask_for_every_sign() -> None:
    domains = registry().domains
    for sign in SIGNS:
        assert domains[f"hand-{sign}"].spec.training["class"] == sign
        assert domains[f"hand-mask-{sign}"].spec.modality == {"name": "segmentation", "classes": 2}


def test_classes_of_the_bundle() -> None:
    record = registry().hubs[HUB]
    if record.bundle is None:
        pytest.skip("the bundle is not part of this checkout")
    assert read_classes(open_bundle(record.bundle)) == SIGNS
