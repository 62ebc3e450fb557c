"""Bundles whose architecture makes no networks: found by verify, install and doctor, a sentence in translate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anchor_hub import inventory
from anchor_hub.bundles.base import MANIFEST, open_bundle
from anchor_hub.domains.checking import architecture_problems
from anchor_hub.domains.loading import clear_cache, load_domain
from anchor_hub.errors import AnchorError, BundleError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks import blank
from anchor_hub.system.config import dump_yaml
from tests.cli.running import anchor
from tests.tiny import tiny_home, write_sample


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield tiny_home(tmp_path, monkeypatch, ("face", "seg"))
    clear_cache()


def changed(folder: Path, path: str, value: Any) -> Path:
    """The bundle with another value in its architecture, as a stranger may write it."""
    table = open_bundle(folder).manifest.as_table()
    *places, last = path.split("/")
    inside = table["architecture"]
    for place in places:
        inside = inside[place]
    inside[last] = value
    (folder / MANIFEST).write_text(dump_yaml(table))
    return folder


DOMAIN_CHANGES = [
    ("encoder/options/width", -1), ("encoder/options/width", 0), ("encoder/options/width", 10**9),
    ("encoder/options/width", 4.5), ("encoder/options/width", "wide"), ("encoder/options/num_latents", 10**9),
    ("encoder/options/num_latents", 2), ("encoder/options/input_size", 10**6), ("encoder/name", "no-such"),
    ("encoder/name", ["compact"]), ("encoder", 5), ("structure_layers", 99), ("structure_layers", 1.5),
    ("corrections", 10**9), ("regressor/options/output_size", 10**9), ("regressor/options/output_size", -1),
    ("regressor/options/convs", 10**9), ("regressor/options/convs", [1]), ("regressor/options/resolutions", [10**9]),
    ("regressor/name", "attention"), ("class_index", 10**9),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), DOMAIN_CHANGES)
def test_domains(home: Path, path: str, value: Any) -> None:
    folder = changed(home / "domains" / "seg", path, value)
    (problem,) = inventory.verify("domain", ["seg"])["seg"]
    assert str(folder) in problem and len(problem) - len(str(folder)) <= 200
    with pytest.raises(AnchorError):
        load_domain("seg")


HUB_CHANGES = [
    ("config/latent_dim", 10**9), ("config/latent_dim", -1), ("config/mapping_layers", 10**9), ("config/size", 7),
    ("config/channels/4", 10**9), ("config/channels/4", 0), ("config/classes", 10**9), ("config/clamp", "no"),
    ("config/channel_multiplier", "x"), ("config/mapping_lr_multiplier", "x"), ("config", []),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), HUB_CHANGES)
def test_hubs(home: Path, path: str, value: Any) -> None:
    folder = changed(home / "hubs" / "tiny", path, value)
    (problem,) = inventory.verify("hub", ["tiny"])["tiny"]
    assert str(folder) in problem
    with pytest.raises(BundleError):
        Hub.load(folder)


def test_what_cannot_be_built_is_not_installed(home: Path, tmp_path: Path) -> None:
    made = changed(shutil.copytree(home / "domains" / "seg", tmp_path / "seg"), "encoder/options/width", -1)
    result = anchor("domains", "install", str(made), "--name", "other")
    assert result.exit_code == 1 and f"{made}: bad domain architecture" in result.stderr
    assert sorted(item.name for item in (home / "domains").iterdir()) == ["face", "seg"]
    sound = home / "domains" / "face"
    assert anchor("domains", "install", str(sound), "--name", "other").exit_code == 0


def test_translate_and_doctor_say_a_sentence(home: Path, tmp_path: Path) -> None:
    changed(home / "domains" / "seg", "encoder/options/width", 0)
    given = write_sample("seg", tmp_path / "a.png")
    result = anchor("translate", "--from", "seg", "--to", "face", str(given), "-o", str(tmp_path / "out"))
    assert result.exit_code == 1 and "bad domain architecture" in result.stderr and "Traceback" not in result.stderr


def test_sound_bundles_have_no_problems(home: Path) -> None:
    assert inventory.verify("domain", ["face", "seg"]) == {"face": [], "seg": []}
    assert inventory.verify("hub", ["tiny"]) == {"tiny": []}


def test_without_its_hub_a_domain_is_not_built(home: Path) -> None:
    folder = changed(home / "domains" / "seg", "encoder/options/width", -1)
    shutil.rmtree(home / "hubs" / "tiny")
    assert architecture_problems(open_bundle(folder)) == []


def test_a_network_has_a_limit(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert inventory.verify("hub", ["tiny"]) == {"tiny": []}
    monkeypatch.setattr(blank, "MAX_TENSORS", 10)
    assert "more than 10 tensors" in inventory.verify("hub", ["tiny"])["tiny"][0]
