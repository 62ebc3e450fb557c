"""What the package of avatars registers, and that names, licences and samples belong together."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import anchor_avatars.plugin as plugin
from anchor_avatars.styles import STYLES, Style
from anchor_hub.plugins.registry import registry
from anchor_hub.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("anchor_avatars.plugin")


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_a_domain_with_its_data_set(style: str) -> None:
    spec = registry().domains[style].spec
    assert (spec.hub, spec.modality, spec.dataset) == ("faces-64", {"name": "rgb"}, f"avatars:{style}")


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_the_licence_credits_every_artist(style: Style) -> None:
    stated = registry().datasets["avatars"].spec.license["data"]
    assert stated.startswith("CC0-1.0") and f"{style.name.capitalize()} by {style.artist}" in stated
    assert style.artist in (plugin.HERE / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [entry[0] for entry in plugin.DOMAINS])
def test_samples_are_small_colour_pictures(name: str) -> None:
    folder = registry().domains[name].spec.samples
    assert folder is not None
    pictures = [Image.open(path) for path in sorted(Path(folder).glob("*.png"))]
    assert len(pictures) == 8
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (64, 64))}
    assert len({picture.tobytes() for picture in pictures}) == 8
