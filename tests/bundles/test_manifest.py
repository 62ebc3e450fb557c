"""What version 2 of the manifest brought, and that version 1 is written as it always was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_hub.bundles.archive import install_bundle
from anchor_hub.bundles.base import (
    MANIFEST,
    Requirement,
    fingerprint,
    open_bundle,
    parse_manifest,
    prior_fingerprint,
    requirement_of,
)
from anchor_hub.errors import BundleError
from anchor_hub.system.config import dump_yaml, load_yaml
from anchor_hub.system.home import Home
from tests.bundle_makers import FINGERPRINT, tiny_domain, tiny_hub, tiny_prior, tiny_translator

DOMAIN_TEXT = """\
format_version: 1
kind: domain
name: spot
hub: tiny
hub_fingerprint: abababababababababababababababababababababababababababababababab
architecture:
  name: anchored
modality:
  name: rgb
provenance:
  seed: 0
  rate: 0.001
license: {}
metrics: {}
files:
"""


def test_what_needs_nothing_new_is_written_as_version_1_byte_for_byte(tmp_path: Path) -> None:
    text = (tiny_domain(tmp_path / "d") / MANIFEST).read_text()
    assert text.startswith(DOMAIN_TEXT)
    assert [line.split(":")[0] for line in text[len(DOMAIN_TEXT) :].splitlines()] == [
        "  README.md",
        "  generator.safetensors",
    ]
    # A new name is the only thing that installing under it changes.
    renamed = install_bundle(tmp_path / "d", Home(tmp_path / "home"), name="dot")
    assert (renamed / MANIFEST).read_text() == text.replace("name: spot", "name: dot")


def test_bundled_manifests_are_written_as_they_are() -> None:
    folders = sorted(Path(__file__).parents[2].glob("domains/**/bundle.yaml"))
    assert folders
    for path in folders:
        assert dump_yaml(parse_manifest(path.read_text(), "x").as_table()) == path.read_text()


def test_a_prior_has_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    prior = open_bundle(tiny_prior(tmp_path / "p"), "prior")
    architecture = {"name": "toy-content", "size": 8}
    assert prior.manifest.format_version == 2
    assert prior.manifest.fingerprint == fingerprint({"network/weight": torch.ones(2, 3)}, architecture)
    assert prior.verify() == []
    # As it is read, half precision or not: what is stored decides.
    half = tiny_prior(tmp_path / "h", tensors={"network": {"weight": torch.ones(2, 3).half()}})
    assert open_bundle(half).manifest.fingerprint == prior.manifest.fingerprint
    other = tiny_prior(tmp_path / "o", architecture={**architecture, "size": 16})
    assert open_bundle(other).manifest.fingerprint != prior.manifest.fingerprint


def test_a_prior_whose_fingerprint_is_not_its_own_does_not_verify(tmp_path: Path) -> None:
    folder = tiny_prior(tmp_path / "p")
    table = load_yaml(folder / MANIFEST)
    (folder / MANIFEST).write_text(dump_yaml({**table, "fingerprint": "0" * 64}))
    assert "not that of its weights" in open_bundle(folder).verify()[0]


def test_requirements_ask_one_way(tmp_path: Path) -> None:
    hub, prior = open_bundle(tiny_hub(tmp_path / "hub")), open_bundle(tiny_prior(tmp_path / "prior"))
    needed = [requirement_of(hub), requirement_of(prior)]
    translator = open_bundle(tiny_translator(tmp_path / "t", requires=needed)).manifest
    assert translator.format_version == 2 and translator.requirements() == tuple(needed)
    assert translator.requires[1] == Requirement(
        kind="prior", name="content", fingerprint=prior_fingerprint({"network": prior.tensors("network")},
                                                                    prior.manifest.architecture)
    )  # fmt: skip
    domain = open_bundle(tiny_domain(tmp_path / "d", requires=needed[1:])).manifest
    assert [(item.kind, item.name) for item in domain.requirements()] == [("hub", "tiny"), ("prior", "content")]
    assert domain.requirements()[0].fingerprint == FINGERPRINT
    assert hub.manifest.requirements() == prior.manifest.requirements() == ()
    with pytest.raises(BundleError, match="only hubs, priors and domains"):
        requirement_of(open_bundle(tmp_path / "t"))


def test_a_translator_says_from_where_to_where_with_what(tmp_path: Path) -> None:
    manifest = open_bundle(tiny_translator(tmp_path / "t", plugins={"b": "2", "a": "1"})).manifest
    assert manifest.source == {"name": "dog", "modality": {"name": "rgb"}}
    assert [side["name"] for side in manifest.targets] == ["cat"]
    assert manifest.modalities() == ("rgb",) and manifest.plugins == {"a": "1", "b": "2"}
    assert dump_yaml(manifest.as_table()) == (tmp_path / "t" / MANIFEST).read_text()


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        ({"targets": []}, "names no targets"),
        ({"architecture": {}}, "names no backend"),
        ({"source": {"name": "dog"}}, "exactly a name and a modality"),
        ({"source": {"name": "dog", "modality": {"name": "rgb"}, "x": 1}}, "exactly a name and a modality"),
        ({"targets": [{"name": "cat", "modality": {}}]}, "needs a name"),
        ({"targets": [{"name": "cat", "modality": {"name": "rgb"}}] * 2}, "a target twice"),
        ({"plugins": {"toy": 1}}, "plugins.toy"),
    ],
)
def test_what_a_translator_may_not_say(tmp_path: Path, overrides: dict[str, Any], part: str) -> None:
    with pytest.raises(BundleError, match=part):
        tiny_translator(tmp_path / "t", **overrides)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("requirement", "part"),
    [
        ({"kind": "translator", "name": "x", "fingerprint": "0" * 64}, "requires.0.kind"),
        ({"kind": "prior", "name": "x", "fingerprint": "0"}, "requires.0.fingerprint"),
        ({"kind": "prior", "name": "x", "fingerprint": "0" * 64, "url": "y"}, "requires.0.url"),
    ],
)
def test_damaged_requirements(tmp_path: Path, requirement: dict[str, str], part: str) -> None:
    folder = tiny_translator(tmp_path / "t")
    table = load_yaml(folder / MANIFEST)
    (folder / MANIFEST).write_text(dump_yaml({**table, "requires": [requirement]}))
    with pytest.raises(BundleError, match=part):
        open_bundle(folder)


def test_a_prior_needs_its_fingerprint(tmp_path: Path) -> None:
    folder = tiny_prior(tmp_path / "p")
    table = load_yaml(folder / MANIFEST)
    del table["fingerprint"]
    (folder / MANIFEST).write_text(dump_yaml(table))
    with pytest.raises(BundleError, match="names no fingerprint"):
        open_bundle(folder)
