"""The class-conditional hub of creatures: registered names, classes of the bundle, domains without weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_faces import plugin
from anchor_faces.plugin import CREATURE_HUB, CREATURES, MASKED
from anchor_faces.rendering.creatures import CREATURE_NAMES
from anchor_hub.bundles.base import open_bundle
from anchor_hub.hubs.classes import read_classes
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DomainSpec


def registered() -> dict[str, DomainSpec]:
    specs: list[DomainSpec] = []
    plugin.register_creatures(specs.append)
    return {spec.name: spec for spec in specs}


def test_every_creature_is_a_domain_once_the_hub_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(CREATURES) == set(CREATURE_NAMES)
    monkeypatch.setattr(plugin, "CREATURE_BUNDLES", tmp_path)
    assert registered() == {}
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "bundle.yaml").touch()
    domains = registered()
    for name in CREATURES:
        domains[name].check()
        assert domains[name].dataset == f"rendered-creatures:image/{name}" and domains[name].training["class"] == name
    for name in MASKED:
        assert domains[f"{name}-mask"].dataset == f"rendered-creatures:seg/{name}"


def test_classes_of_the_bundle() -> None:
    record = registry().hubs[CREATURE_HUB]
    if record.bundle is None:
        pytest.skip("the bundle is not part of this checkout")
    assert set(read_classes(open_bundle(record.bundle))) == set(CREATURES)
