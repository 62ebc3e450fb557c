"""Translators and priors as things of their own, and bundles whose plugin, hub or prior is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from anchor_hub.bundles.base import MANIFEST, open_bundle, requirement_of
from anchor_hub.domains.loading import clear_cache
from anchor_hub.plugins.registry import registry
from anchor_hub.system.config import dump_yaml, load_yaml
from tests import tiny
from tests.bundle_makers import tiny_prior, tiny_translator
from tests.cli.running import anchor
from tests.plugin_makers import hooks, install_plugin
from tests.tiny import tiny_home, write_sample

TOY = hooks(
    backends="BackendSpec('toy-pair', target='anchor_hub.errors:AnchorError')",
    architectures="ArchitectureSpec('toy-content', target=f'{__name__}:Content', kind='prior')",
    translators="TranslatorSpec('horse-zebra', backend='toy-pair', source='horse', targets=('zebra',), summary='new')",
    priors="PriorSpec('fresh', recipe='toy', summary='to be trained')",
) + """
class Content:
    @classmethod
    def load(cls, bundle, device):
        return bundle.tensors("network")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_home: Path) -> Path:
    """The plugin that brings the backend `toy-pair` and the architecture `toy-content`; its folder on sys.path."""
    site = install_plugin(tmp_path / "site", TOY, distribution="anchor-toy")
    monkeypatch.syspath_prepend(str(site))
    registry.cache_clear()
    return site


@pytest.fixture
def pair(fresh_home: Path) -> Path:
    """A translator in the home that needs a prior and a hub in the home."""
    needed = [
        requirement_of(open_bundle(tiny.tiny_hub().save(fresh_home / "hubs" / "tiny"))),
        requirement_of(open_bundle(tiny_prior(fresh_home / "priors" / "content"))),
    ]
    return tiny_translator(
        fresh_home / "translators" / "dog-cat", requires=needed, plugins={"anchor-toy": "0.1"},
        license={"weights": "CC0-1.0"},
    )  # fmt: skip


def test_translators_and_priors_are_listed_like_hubs_and_domains(toy: Path, pair: Path) -> None:
    result = anchor("translators", "list")
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines()}
    assert lines["NAME"] == ["NAME", "STATE", "FROM", "TO", "BACKEND", "SOURCE", "SUMMARY"]
    assert lines["dog-cat"] == ["dog-cat", "ready", "dog", "cat", "toy-pair", "home"]
    assert lines["horse-zebra"][1:4] == ["can", "be", "trained"] and lines["horse-zebra"][-1] == "new"
    assert re.search("`anchor translators train [a-z-]+` trains one that can be trained", result.stderr)
    rows = {row["name"]: row for row in json.loads(anchor("translators", "list", "--json").stdout)}
    assert rows["dog-cat"]["to"] == ["cat"] and rows["dog-cat"]["path"] == str(pair)
    priors = {row["name"]: row for row in json.loads(anchor("priors", "list", "--json").stdout)}
    assert (priors["content"]["state"], priors["fresh"]["state"]) == ("ready", "can be trained")
    assert re.search("`anchor priors train [a-z0-9-]+`", anchor("priors", "list").stderr)


def test_many_targets_are_shortened_in_the_table(toy: Path, fresh_home: Path) -> None:
    targets = [{"name": f"c{index}", "modality": {"name": "rgb"}} for index in range(5)]
    tiny_translator(fresh_home / "translators" / "classes", targets=targets, source=None)
    line = next(line for line in anchor("translators", "list").stdout.splitlines() if line.startswith("classes"))
    assert "c0, c1, c2 and 2 more" in line


def test_show_verify_and_the_card(toy: Path, pair: Path) -> None:
    shown = json.loads(anchor("translators", "show", "dog-cat", "--json").stdout)
    assert [item["kind"] for item in shown["requires"]] == ["hub", "prior"] and "needs" not in shown
    fingerprint = tiny.tiny_hub().fingerprint[:12]
    assert f"## Requires\n\n- the hub tiny (fingerprint `{fingerprint}`)\n- the prior content" in shown["card"]
    assert shown["card"].endswith("## Licences\n\n- weights: CC0-1.0\n")
    assert anchor("translators", "verify").stdout == "dog-cat: ok\n"
    assert anchor("priors", "verify").stdout == "content: ok\ncontent-64: ok\n"
    wrong = anchor("translators", "show", "content")
    assert wrong.exit_code == 2 and "that is a prior; use `anchor priors`" in wrong.stderr
    missing = anchor("translators", "show", "horse-zebra")
    assert missing.exit_code == 2 and "`anchor translators train horse-zebra` trains it" in missing.stderr
    assert "Did you mean 'dog-cat'?" in anchor("translators", "show", "dog-cta").stderr


@pytest.mark.parametrize("kind", ["translator", "prior"])
def test_a_damaged_one_is_seen_by_verify_and_doctor(kind: str, toy: Path, pair: Path, fresh_home: Path) -> None:
    name, part = {"translator": ("dog-cat", "networks"), "prior": ("content", "network")}[kind]
    path = fresh_home / f"{kind}s" / name / f"{part}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    result = anchor(f"{kind}s", "verify")
    assert result.exit_code == 1 and f"error: {path}: is damaged" in result.stderr
    doctor = anchor("doctor")
    assert doctor.exit_code == 1 and f"{name}: {path}: is damaged" in doctor.stdout
    (fresh_home / f"{kind}s" / name / MANIFEST).write_text("[")
    assert anchor("doctor").exit_code == 1
    rows = {row["name"]: row["state"] for row in json.loads(anchor(f"{kind}s", "list", "--json").stdout)}
    assert rows[name] == "damaged"


def test_export_with_what_it_requires_and_install_elsewhere(
    toy: Path, pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    alone = anchor("translators", "export", "dog-cat", "-o", str(out))
    assert "the archive lacks the prior content, which dog-cat requires; --with-required adds it" in alone.stderr
    (out / "dog-cat.zip").unlink()
    together = anchor("translators", "export", "dog-cat", "-o", str(out), "--with-required")
    assert together.exit_code == 0 and together.stderr == ""
    assert sorted(item.name for item in out.iterdir()) == ["content.zip", "dog-cat.zip", "tiny.zip"]
    (out / "dog-cat.zip").unlink()
    again = anchor("translators", "export", "dog-cat", "-o", str(out), "--with-required")
    assert again.exit_code == 2 and "exists already" in again.stderr and not (out / "dog-cat.zip").exists()
    assert anchor("translators", "export", "dog-cat", "-o", str(out), "--with-required", "--overwrite").exit_code == 0

    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "elsewhere"))
    installed = anchor("translators", "install", str(out / "dog-cat.zip"))
    assert "note: its hub tiny" in installed.stderr and "note: its prior content" in installed.stderr
    assert "(anchor priors install)" in installed.stderr
    row = next(row for row in json.loads(anchor("translators", "list", "--json").stdout) if row["name"] == "dog-cat")
    assert row["state"] == "needs hub tiny" and "its prior content" in row["note"]
    lost = anchor("translators", "export", "dog-cat", "-o", str(tmp_path), "--with-required")
    assert lost.exit_code == 2 and "the hub tiny is not on this machine" in lost.stderr
    assert anchor("hubs", "install", str(out / "tiny.zip")).exit_code == 0
    assert anchor("priors", "install", str(out / "content.zip"), "--name", "mine").exit_code == 0
    assert anchor("translators", "verify", "dog-cat").stdout == "dog-cat: ok\n"
    assert anchor("translators", "remove", "dog-cat").exit_code == 0


@pytest.mark.parametrize(("kind", "name"), [("hub", "tiny"), ("prior", "content")])
def test_what_others_require_stays_without_force(kind: str, name: str, toy: Path, pair: Path) -> None:
    result = anchor(f"{kind}s", "remove", name)
    assert result.exit_code == 2
    used = f"the {kind} {name!r} is used by the translators dog-cat: remove them first, or pass --force"
    assert used in result.stderr
    assert anchor(f"{kind}s", "remove", name, "--force").exit_code == 0
    result = anchor("translators", "verify")
    assert result.exit_code == 1 and f"its {kind} {name} (fingerprint" in result.stderr


def test_after_a_plugin_is_uninstalled_its_bundles_say_so(
    toy: Path, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert anchor("translators", "verify").exit_code == 0
    uninstall(toy, monkeypatch)
    sentence = "needs plugin anchor-toy (0.1), which is not installed"
    listed = anchor("translators", "list")
    assert re.search("dog-cat +needs plugin anchor-toy +dog", listed.stdout)
    assert f"note: dog-cat: {sentence}" in listed.stderr
    verified = anchor("translators", "verify", "dog-cat")
    assert verified.exit_code == 1 and f"{pair}: {sentence}" in verified.stderr
    assert sentence in " ".join(json.loads(anchor("translators", "show", "dog-cat", "--json").stdout)["needs"])
    assert "needs plugin for prior architecture 'toy-content'" in anchor("priors", "list").stdout
    assert sentence in anchor("doctor").stdout
    image, output = write_sample("face", toy.parent / "dog.png"), toy.parent / "cat.png"
    for way in (("--translator", "dog-cat"), ()):
        failed = anchor("translate", str(image), "--from", "dog", "--to", "cat", "-o", str(output), *way)
        assert failed.exit_code == 1 and f"{pair}: {sentence}" in failed.stderr
    # The bundle stays what it was: it can be exported, and installed again.
    assert anchor("translators", "export", "dog-cat", "-o", str(toy.parent)).exit_code == 0
    again = anchor("translators", "install", str(toy.parent / "dog-cat.zip"), "--overwrite")
    assert again.exit_code == 0 and f"note: {sentence}" in again.stderr


def uninstall(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for item in site.glob("*.dist-info/*"):
        item.unlink()
    for item in site.glob("*.dist-info"):
        item.rmdir()
    registry.cache_clear()


THERMAL = "from anchor_hub.modality.gray import Gray\n\n\nclass Thermal(Gray):\n    name = 'thermal'\n"


@pytest.mark.parametrize("recorded", [True, False])
def test_translation_names_the_missing_plugin_too(
    recorded: bool, fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tiny_home(tmp_path, monkeypatch, domains=("sketch", "face"))
    table: dict[str, Any] = load_yaml(home / "domains" / "sketch" / MANIFEST)
    table["modality"]["name"] = "thermal"
    if recorded:
        table.update(format_version=2, plugins={"anchor-toy": "0.1"})
    (home / "domains" / "sketch" / MANIFEST).write_text(dump_yaml(table))
    module = f"thermal_{recorded}"
    source = hooks(modalities=f"ModalitySpec('thermal', target='{module}:Thermal')")
    site = install_plugin(tmp_path / "site", source, distribution="anchor-toy")
    (site / f"{module}.py").write_text(THERMAL)
    monkeypatch.syspath_prepend(str(site))
    registry.cache_clear()
    sample = write_sample("sketch", tmp_path / "a.png")
    command = ["translate", str(sample), "--from", "sketch", "--to", "face", "--device", "cpu"]
    command += ["-o", str(tmp_path / "out.png")]
    done = anchor(*command)
    assert done.exit_code == 0, done.output
    uninstall(site, monkeypatch)
    clear_cache()
    failed = anchor(*command)
    expected = "needs plugin anchor-toy (0.1), which is not installed" if recorded else "needs a plugin"
    assert failed.exit_code == 1 and f"domains/sketch: {expected}" in failed.stderr
    assert "for its modality 'thermal'" in failed.stderr or "registers its modality 'thermal'" in failed.stderr
    state = next(row for row in json.loads(anchor("domains", "list", "--json").stdout) if row["name"] == "sketch")
    assert state["state"] == ("needs plugin anchor-toy" if recorded else "needs plugin for modality 'thermal'")
    assert anchor("domains", "verify", "sketch").exit_code == 1


@pytest.mark.parametrize("command", ["hubs", "domains", "translators", "priors"])
def test_every_kind_has_the_six_commands(command: str) -> None:
    text = anchor(command, "--help").stdout
    for name in ("list", "show", "verify", "export", "install", "remove"):
        assert f"\n  {name} " in text
        helped = anchor(command, name, "--help")
        assert helped.exit_code == 0 and "{kind}" not in helped.stdout
