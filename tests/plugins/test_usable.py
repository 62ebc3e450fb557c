"""Whether a bundle can be used here: plugins, hubs and priors that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anchor_hub.bundles.base import BundleManifest, open_bundle, requirement_of
from anchor_hub.errors import BundleError
from anchor_hub.plugins.registry import registry
from anchor_hub.plugins.usable import Installed, architecture_class, lacks, plugins_behind, require_usable
from tests.bundle_makers import tiny_domain, tiny_hub, tiny_prior, tiny_translator
from tests.plugin_makers import hooks, install_plugin

TOY = {
    "modalities": "ModalitySpec('thermal', target='anchor_hub.modality.gray:Gray')",
    "architectures": "ArchitectureSpec('toy-domain', target='anchor_hub.domains.anchored:AnchoredDomain'), "
    "ArchitectureSpec('toy-hub', target='anchor_hub.hubs.stylegan2:StyleGAN2Hub', kind='hub'), "
    "ArchitectureSpec('toy-content', target='anchor_hub.errors:AnchorError', kind='prior')",
    "backends": "BackendSpec('toy-pair', target='anchor_hub.errors:AnchorError')",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANCHOR_LOAD_PLUGINS", raising=False)
    registry.cache_clear()
    yield tmp_path / "home"
    registry.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(source: str = hooks(**TOY)) -> None:
        monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", source, distribution="anchor-toy")))
        registry.cache_clear()

    return install


def manifest(folder: Path) -> BundleManifest:
    return open_bundle(folder).manifest


MAKERS: dict[str, tuple[Callable[..., Path], dict[str, Any], str]] = {
    "modality": (tiny_domain, {"modality": {"name": "thermal"}}, "modality 'thermal'"),
    "domain architecture": (tiny_domain, {"architecture": {"name": "toy-domain"}}, "domain architecture 'toy-domain'"),
    "hub architecture": (tiny_hub, {"architecture": {"name": "toy-hub"}}, "hub architecture 'toy-hub'"),
    "prior architecture": (tiny_prior, {}, "prior architecture 'toy-content'"),
    "backend": (tiny_translator, {}, "backend 'toy-pair'"),
    "a target's modality": (
        tiny_translator,
        {"targets": [{"name": "cat", "modality": {"name": "thermal"}}]},
        "backend 'toy-pair', modality 'thermal'",
    ),
}


@pytest.mark.parametrize("what", MAKERS)
def test_a_plugin_that_is_not_installed_is_named(
    what: str, tmp_path: Path, home: Path, install: Callable[..., None]
) -> None:
    maker, overrides, wanted = MAKERS[what]
    tiny_hub(home / "hubs" / "tiny")
    nobody = maker(tmp_path / "nobody", **overrides)
    known = maker(tmp_path / "known", plugins={"anchor-toy": "0.1"}, **overrides)
    [unknown], [lack] = lacks(manifest(nobody)), lacks(manifest(known))
    assert lack.state == "needs plugin anchor-toy"
    assert lack.message == (
        f"needs plugin anchor-toy (0.1), which is not installed, for its {wanted}: pip install anchor-toy"
    )
    assert unknown.state == f"needs plugin for {wanted.split(', ')[0]}"
    assert "nothing here registers its " + wanted in unknown.message
    with pytest.raises(BundleError, match=r"known: needs plugin anchor-toy \(0.1\), which is not installed"):
        require_usable(open_bundle(known))
    install()
    assert lacks(manifest(known)) == lacks(manifest(nobody)) == []
    require_usable(open_bundle(known))


def test_a_plugin_that_is_broken_or_left_out_or_too_old(
    tmp_path: Path, home: Path, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_hub(tmp_path / "h", architecture={"name": "toy-hub"}, plugins={"anchor-toy": "0.1"})
    install(hooks(hubs="HubSpec('another')"))
    [lack] = lacks(manifest(folder))
    assert "which anchor-toy 1.2 does not bring (the bundle was made with 0.1)" in lack.message
    assert lack.state == "needs plugin anchor-toy"
    install("import no_such_module")
    assert "which is not loaded (`anchor plugins` says why)" in lacks(manifest(folder))[0].message
    install()
    monkeypatch.setenv("ANCHOR_LOAD_PLUGINS", "")
    registry.cache_clear()
    assert "or ANCHOR_LOAD_PLUGINS leaves out" in lacks(manifest(folder))[0].message


def test_an_architecture_of_another_kind_is_none(install: Callable[..., None], tmp_path: Path) -> None:
    install()
    folder = tiny_hub(tmp_path / "h", architecture={"name": "toy-domain"})
    assert lacks(manifest(folder))[0].state == "needs plugin for hub architecture 'toy-domain'"
    with pytest.raises(BundleError, match="hub architecture 'toy-domain'"):
        architecture_class(open_bundle(folder), "hub")


def test_a_missing_hub_is_named_with_the_command_that_gets_it(tmp_path: Path, home: Path) -> None:
    folder = tiny_domain(tmp_path / "spot")
    [lack] = lacks(manifest(folder))
    assert lack.state == "needs hub tiny"
    assert lack.message == (
        "its hub tiny (fingerprint abababababab) is not on this machine: install it, too (anchor hubs install)"
    )
    tiny_hub(home / "hubs" / "tiny", hub_fingerprint="cd" * 32)
    assert "the hub tiny that is here is another one" in lacks(manifest(folder))[0].message
    # Under whatever name: the fingerprint decides.
    tiny_hub(home / "hubs" / "other")
    assert lacks(manifest(folder)) == []


def test_a_missing_prior_that_can_be_trained(tmp_path: Path, home: Path, install: Callable[..., None]) -> None:
    install(hooks(**TOY, priors="PriorSpec('content', recipe='toy')"))
    needed = requirement_of(open_bundle(tiny_prior(tmp_path / "content")))
    folder = tiny_translator(tmp_path / "t", requires=[needed])
    [lack] = lacks(manifest(folder))
    assert lack.state == "needs prior content"
    assert lack.message.endswith("(anchor priors install), or train it: anchor priors train content")
    tiny_prior(home / "priors" / "content")
    assert lacks(manifest(folder)) == []


def test_what_a_required_bundle_lacks_counts(tmp_path: Path, home: Path, install: Callable[..., None]) -> None:
    install(hooks(backends=TOY["backends"]))
    hub = requirement_of(open_bundle(tiny_hub(tmp_path / "hub")))
    prior = tiny_prior(home / "priors" / "content", requires=[hub])
    folder = tiny_translator(tmp_path / "t", requires=[requirement_of(open_bundle(prior))])
    plugin, missing = lacks(manifest(folder))
    assert plugin.message.startswith("its prior content needs a plugin") and missing.state == "needs hub tiny"


def test_each_manifest_is_read_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anchor_hub.bundles import base

    tiny_hub(home / "hubs" / "tiny")
    for name in "abc":
        tiny_domain(home / "domains" / name)
    opened: list[str] = []
    original = base.parse_manifest
    monkeypatch.setattr(base, "parse_manifest", lambda text, where: opened.append(where) or original(text, where))
    installed = Installed()
    for name in "abc":
        found = installed.manifest("domain", name)
        assert found is not None and lacks(found, installed) == []
    inside = [item for item in opened if item.startswith(str(home))]
    assert sorted(inside) == sorted(set(inside)) and len(inside) == 4


def test_the_plugins_behind_a_bundle(install: Callable[..., None]) -> None:
    assert plugins_behind("domain", {"name": "anchored"}, ["rgb"]) == {}
    install()
    assert plugins_behind("domain", {}, ["thermal"]) == {"anchor-toy": "1.2"}
    assert plugins_behind("domain", {"name": "toy-domain"}, [{"name": "rgb"}, None]) == {"anchor-toy": "1.2"}
    assert plugins_behind("translator", {"name": "toy-pair"}) == plugins_behind("prior", {"name": "toy-content"})
    assert plugins_behind("hub", {"name": "nobody-has-it"}) == {}
