"""The class-conditional hub of creatures: registered names, classes of the bundle, domains without weights."""

from __future__ import annotations

import pytest

from anchor_faces.plugin import CREATURE_HUB, CREATURES, MASKED
from anchor_faces.rendering.creatures import CREATURE_NAMES
from anchor_hub.bundle import open_bundle
from anchor_hub.classes import read_classes
from anchor_hub.registry import registry


def test_every_creature_is_a_domain() -> None:
    assert set(CREATURES) == set(CREATURE_NAMES)
    domains = registry().domains
    for name in CREATURES:
        assert domains[name].spec.dataset == f"rendered-creatures:image/{name}"
        assert domains[name].spec.training["class"] == name
    for name in MASKED:
        assert domains[f"{name}-mask"].spec.dataset == f"rendered-creatures:seg/{name}"


def test_classes_of_the_bundle() -> None:
    record = registry().hubs[CREATURE_HUB]
    if record.bundle is None:
        pytest.skip("the bundle is not part of this checkout")
    assert set(read_classes(open_bundle(record.bundle))) == set(CREATURES)
