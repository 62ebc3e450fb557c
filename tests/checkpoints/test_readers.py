"""Checkpoint readers by registry: a stranger's works like a built-in one, and is asked after them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from anchor_hub.bundles.base import open_bundle
from anchor_hub.checkpoints.families import families, family_of
from anchor_hub.checkpoints.importing import read_hub
from anchor_hub.checkpoints.importing_domains import import_domain
from anchor_hub.checkpoints.importing_translators import import_parts
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.checkpoints.stylegan2_rosinality import to_theirs
from anchor_hub.domains.loading import clear_cache, load_domain
from anchor_hub.errors import CheckpointError, PluginError
from anchor_hub.plugins.registry import registry
from tests.cli.running import anchor
from tests.plugin_makers import hooks, install_plugin
from tests.tiny import tiny_domain, tiny_generator, tiny_home

HUB = """
from anchor_hub.checkpoints.base import ImportedHub
NAME, LAYOUT, KIND = "stranger-gan", "a .pt with stranger and config", "hub"
def matches(raw):
    return isinstance(raw.content, dict) and "stranger" in raw.content
def read(raw, discriminator=None):
    from tests.tiny import tiny_generator
    generator = tiny_generator()
    generator.load_state_dict(raw.content["stranger"])
    return ImportedHub(NAME, generator.eval(), notes=["Read by a stranger."])
"""
TRANSLATOR = """
from anchor_hub.checkpoints.base import ImportedParts
from anchor_hub.errors import CheckpointError, UsageError
class Reader:
    NAME, LAYOUT, KIND = "toy-release", "a .pt with pair", "translator"
    def matches(self, raw):
        return "pair" in raw.content
    def read(self, raw, others, options):
        if set(options) - {"scale"}:
            raise UsageError("the reader has the option scale only")
        if not others:
            raise CheckpointError("needs the content encoder's file, too (--content)")
        side = lambda name: {"name": name, "modality": {"name": "rgb"}}
        return ImportedParts(
            self.NAME, {"name": "toy-pair", "scale": float(options.get("scale", 1))},
            {"pair": raw.content["pair"], "content": others[0].content}, side("dog"), [side("cat")],
            notes=["As released."],
        )
reader = Reader()
"""
DOMAIN = """
from anchor_hub.checkpoints.base import ImportedDomain
NAME, LAYOUT, KIND = "toy-domain", "a .pt with spot", "domain"
def matches(raw):
    return "spot" in raw.content
def read(raw, name, hub, modality):
    from tests.tiny import tiny_domain
    domain = tiny_domain("sketch", hub)
    domain.name = name
    for part, state in raw.content["spot"].items():
        getattr(domain, part).load_state_dict(state)
    return ImportedDomain(NAME, domain, "a spot", ["Found in the street."])
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANCHOR_LOAD_PLUGINS", raising=False)
    registry.cache_clear()
    yield tmp_path / "home"
    registry.cache_clear()
    clear_cache()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a plugin with these readers: module name -> its source; ``suffix``: what follows it in the target."""

    def install(modules: dict[str, str], suffix: str = "") -> None:
        specs = [f"CheckpointSpec({name.replace('_', '-')!r}, target={name + suffix!r})" for name in modules]
        backends = "BackendSpec('toy-pair', target='anchor_hub.errors:AnchorError')"
        site = install_plugin(tmp_path / "site", hooks(checkpoints=", ".join(specs), backends=backends))
        for name, source in modules.items():
            (site / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(site))
        registry.cache_clear()

    return install


def test_the_built_in_readers_are_asked_in_their_order() -> None:
    names = ["stylegan2", "stylegan2-ada", "latent-space-anchoring", "biggan-deep-hf", "biggan"]
    assert [reader.NAME for reader in families()] == names
    assert [reader.NAME for reader in families("domain")] == ["latent-space-anchoring-domain"]
    assert [reader.NAME for reader in families("translator")] == ["deepi2i-biggan", "deepi2i-stylegan", "gp-unit"]
    assert [reader.NAME for reader in families("prior")] == ["gp-unit"]
    plugins = ["deepi2i-biggan", "deepi2i-stylegan", "gp-unit", "gp-unit-content"]
    assert list(registry().checkpoints.in_order()) == [*names, "latent-space-anchoring-domain", *plugins]


def test_a_strangers_hub_is_imported_like_a_built_in_one(install: Callable[..., None], tmp_path: Path) -> None:
    install({"strange_gan_one": HUB})
    torch.save({"stranger": tiny_generator().state_dict()}, tmp_path / "g.pt")
    result = anchor("hubs", "import", str(tmp_path / "g.pt"), "--name", "mine", "--license", "CC0-1.0")
    assert result.exit_code == 0, result.output
    assert "stranger-gan, 16 px" in result.stdout and "Read by a stranger." in result.stderr
    assert anchor("hubs", "verify", "mine").stdout == "mine: ok\n"
    found = anchor("checkpoints", "inspect", str(tmp_path / "g.pt"))
    assert found.exit_code == 0 and "family stranger-gan: a generator of 16 px" in found.stdout


def test_of_two_that_match_the_projects_own_wins(install: Callable[..., None], tmp_path: Path) -> None:
    greedy = "NAME, LAYOUT, KIND = 'a-greedy', 'all', 'hub'\ndef matches(raw): return True\ndef read(raw): 1 / 0\n"
    install({"a_greedy_reader": greedy})
    generator = tiny_generator()
    torch.save({"g_ema": to_theirs(generator.state_dict(), generator.config)}, tmp_path / "g.pt")
    assert read_hub(tmp_path / "g.pt").family == "stylegan2"
    assert [reader.NAME for reader in families()][-1] == "a-greedy"


def test_broken_readers_take_nobody_down_and_are_named(install: Callable[..., None], tmp_path: Path) -> None:
    raises = HUB.replace("return isinstance", "1 / 0\n    return isinstance")
    install(
        {
            "reader_absent": "import no_such_module_here",
            "reader_no_kind": "NAME, LAYOUT = 'x', 'y'\nmatches = read = print\n",
            "reader_odd_kind": "NAME, LAYOUT, KIND = 'x', 'y', 'modality'\nmatches = read = print\n",
            "reader_raises": raises,
        }
    )
    generator = tiny_generator()
    torch.save({"g_ema": to_theirs(generator.state_dict(), generator.config)}, tmp_path / "g.pt")
    assert read_hub(tmp_path / "g.pt").family == "stylegan2"
    torch.save({"other": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError) as caught:
        family_of(load_raw(tmp_path / "other.pt"))
    for part in ("no_such_module_here", "reader-no-kind", "lacks KIND", "the KIND 'modality'", "ZeroDivisionError"):
        assert part in str(caught.value)
    with pytest.raises(PluginError, match="reader-absent"):
        list(families())


@pytest.mark.parametrize("kind", ["translator", "prior"])
def test_without_a_reader_the_command_says_so(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchor_hub.checkpoints.importing_translators.families", lambda kind, problems: iter(()))
    none = anchor(f"{kind}s", "import", str(tmp_path / "absent.pt"), "--name", "x")
    assert none.exit_code == 2 and f"no reader of published {kind}s is installed" in none.stderr


def test_a_strangers_translator(install: Callable[..., None], tmp_path: Path, home: Path) -> None:
    install({"toy_release_one": TRANSLATOR}, ":reader")
    torch.save({"pair": {"w": torch.ones(3)}}, tmp_path / "pair.pt")
    torch.save({"v": torch.zeros(2)}, tmp_path / "content.pt")
    command = ["translators", "import", str(tmp_path / "pair.pt"), "--name", "dog-cat", "--license", "CC0-1.0"]
    result = anchor(*command, "--content", str(tmp_path / "content.pt"), "--set", "scale=0.5")
    assert result.exit_code == 0, result.output
    bundle = open_bundle(home / "translators" / "dog-cat", "translator")
    assert bundle.verify() == [] and bundle.manifest.architecture == {"name": "toy-pair", "scale": 0.5}
    assert bundle.manifest.plugins == {"stranger-dist": "1.2"}
    assert [item["file"] for item in (bundle.manifest.provenance, *bundle.manifest.provenance["others"])] == [
        "pair.pt",
        "content.pt",
    ]
    assert torch.equal(bundle.tensors("content")["v"], torch.zeros(2))
    rows = json.loads(anchor("translators", "list", "--json").stdout)
    row = next(row for row in rows if row["name"] == "dog-cat")
    assert (row["name"], row["state"], row["from"], row["to"]) == ("dog-cat", "ready", "dog", ["cat"])
    again = anchor(*command)
    assert again.exit_code == 2 and "exists already" in again.stderr
    lacking = anchor(*command, "--overwrite")
    assert lacking.exit_code == 1 and "pair.pt: needs the content encoder's file" in lacking.stderr
    for setting, part in (("size=1", "the option scale only"), ("size", "NAME=VALUE"), ("=1", "NAME=VALUE")):
        wrong = anchor(*command, "--overwrite", "--set", setting)
        assert wrong.exit_code == 2 and part in wrong.stderr
    inspected = anchor("checkpoints", "inspect", str(tmp_path / "pair.pt"))
    assert "family toy-release: a translator (`anchor translators import`)" in inspected.stdout
    with pytest.raises(CheckpointError, match="is of no supported layout"):
        import_parts("prior", tmp_path / "pair.pt", "x")


def test_a_strangers_domain(
    install: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_home(tmp_path, monkeypatch, domains=())
    install({"toy_domain_one": DOMAIN})
    hub = registry().hubs["tiny"].bundle
    from anchor_hub.hubs.loading import load_hub

    domain = tiny_domain("sketch", load_hub(str(hub), "cpu"))
    with torch.no_grad():
        next(iter(domain.encoder.parameters())).add_(1)
    parts = {part: getattr(domain, part).state_dict() for part in ("encoder", "regressor")}
    torch.save({"spot": parts}, tmp_path / "s.pt")
    imported = import_domain(tmp_path / "s.pt", "spot", "tiny")
    assert (imported.family, imported.summary, imported.notes) == ("toy-domain", "a spot", ["Found in the street."])
    images = torch.zeros(1, 1, 16, 16)
    assert torch.equal(load_domain("spot", device="cpu").encode(images), domain.encode(images))
