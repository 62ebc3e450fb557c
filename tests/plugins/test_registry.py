from __future__ import annotations

import re
from pathlib import Path

import pytest

from anchor_hub.errors import BundleError, DomainNotFoundError, HubNotFoundError, PluginError
from anchor_hub.plugins.loading import Plugin
from anchor_hub.plugins.registry import Registry, registry
from anchor_hub.system import guarded
from tests.bundle_makers import tiny_domain, tiny_hub
from tests.plugin_makers import DOMAIN_PLUGIN, install_plugin


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANCHOR_LOAD_PLUGINS", raising=False)


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.syspath_prepend(str(folder))
    return Registry()


def stranger(found: Registry, name: str = "stranger") -> Plugin:
    return next(plugin for plugin in found.plugins if plugin.name == name)


def test_first_party_comes_through_the_same_entry_points() -> None:
    found = registry()
    first_party = {plugin.name for plugin in found.plugins if plugin.first_party}
    assert first_party == {"avatars", "builtin", "deepi2i", "faces", "finetune", "gpunit", "hands"}
    assert all(plugin.status == "ok" for plugin in found.plugins if plugin.first_party)
    assert set(found.modalities) == {"rgb", "gray", "segmentation", "landmarks"}
    assert "faces-64" in found.hubs and {"face", "seg", "sketch", "landmark"} <= set(found.domains)
    assert found.domains["seg"].spec.modality["classes"] == 19
    assert found.domains["seg"].source == "first-party"


def test_a_strangers_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install_plugin(tmp_path / "site", DOMAIN_PLUGIN.format(name="dog"))
    found = loaded(folder, monkeypatch)
    record = found.domains["dog"]
    assert (record.source, record.plugin, record.distribution) == ("third-party", "stranger", "stranger-dist")
    assert record.bundle is None
    assert stranger(found).as_dict()["registers"] == {"domains": ["dog"]}


def test_unknown_names_suggest() -> None:
    found = registry()
    with pytest.raises(DomainNotFoundError, match="Did you mean 'sketch'"):
        found.domains["skech"]
    with pytest.raises(HubNotFoundError, match="no hub is named"):
        found.hubs["x" * 10_000]
    assert found.domains.get("skech") is None and "skech" not in found.domains


HOOK = "from anchor_hub.hookspecs import hookimpl\nfrom anchor_hub.specs import *\n@hookimpl\n"
BROKEN = {
    "import error": ("import there_is_no_such_module", "there_is_no_such_module"),
    "syntax error": ("def broken(:", "SyntaxError"),
    "system exit": ("import sys; sys.exit(3)", "calls sys.exit(3)"),
    "exception": ("raise ValueError('on purpose')", "ValueError: on purpose"),
    "base exception": ("raise GeneratorExit('odd')", "GeneratorExit"),
    "not a plugin": ("x = 1", "implements no hook"),
    "no decorator": ("def anchor_register_domains(register): pass", "lacks the @hookimpl decorator"),
    "misspelt hook": (
        HOOK + "def anchor_register_domain(register): pass",
        "Did you mean 'anchor_register_domains'",
    ),
    "unknown argument": (HOOK + "def anchor_register_domains(register, colour): pass", "colour"),
    "hook raises": (HOOK + "def anchor_register_domains(register): 1 / 0", "raises ZeroDivisionError"),
    "hook exits": (HOOK + "def anchor_register_domains(register): raise SystemExit(2)", "sys.exit(2)"),
    "wrong type": (
        HOOK + "def anchor_register_domains(register): register({'name': 'x'})",
        "takes a DomainSpec, got dict",
    ),
    "other spec": (
        HOOK + "def anchor_register_hubs(register): register(DomainSpec('x'))",
        "takes a HubSpec, got DomainSpec",
    ),
    "swallowed": (
        HOOK + "def anchor_register_hubs(register):\n try: register(3)\n except Exception: pass",
        "got int",
    ),
    "invalid name": (HOOK + "def anchor_register_hubs(register): register(HubSpec('../x'))", "not usable"),
    "upper case": (HOOK + "def anchor_register_hubs(register): register(HubSpec('Face'))", "not usable"),
    "device": (HOOK + "def anchor_register_hubs(register): register(HubSpec('con'))", "device name"),
    "long": (HOOK + "def anchor_register_hubs(register): register(HubSpec('x' * 10000))", "not usable"),
    "look-alike": (
        HOOK + "def anchor_register_hubs(register): register(HubSpec('f\\u0430ce'))",
        "not usable",
    ),
    "twice": (
        HOOK + "def anchor_register_hubs(register):\n register(HubSpec('x')); register(HubSpec('x'))",
        "twice",
    ),
    "spec raises": (HOOK + "def anchor_register_hubs(register): register(HubSpec())", "TypeError"),
    "other version": ("ANCHOR_API = 2\n" + HOOK + "def anchor_register_hubs(register): pass", "version 2"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_plugins_are_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    source, reason = BROKEN[what]
    found = loaded(install_plugin(tmp_path / "site", source), monkeypatch)
    plugin = stranger(found)
    assert plugin.status == "quarantined" and reason in plugin.reason and "\n" not in plugin.reason
    assert plugin.specs == {}
    assert "faces-64" in found.hubs
    with pytest.raises(DomainNotFoundError, match="Not loaded: stranger; `anchor plugins` says why"):
        found.domains["nothing"]


def test_entry_points_to_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(tmp_path / "site", "", name="a", distribution="one", target="no_such_module_at_all")
    install_plugin(tmp_path / "site", "", name="b", distribution="two", target="anchor_hub.errors:Nothing")
    install_plugin(tmp_path / "site", "", name="c", distribution="three", target="three_c_plugin:NOT:VALID")
    found = loaded(tmp_path / "site", monkeypatch)
    assert [stranger(found, name).status for name in "abc"] == ["quarantined"] * 3


def test_keyboard_interrupt_still_interrupts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install_plugin(tmp_path / "site", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        loaded(folder, monkeypatch)


def test_printing_is_kept_off_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "print('hello\\nfrom a plugin')\n" + HOOK + "def anchor_register_hubs(register): print('again')"
    found = loaded(install_plugin(tmp_path / "site", source), monkeypatch)
    assert capsys.readouterr().out == ""
    assert stranger(found).status == "ok"
    assert stranger(found).notes == ["printed while loading: hello from a plugin again"]


def test_slow_plugins_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import time; time.sleep(1.1)\n" + HOOK + "def anchor_register_hubs(register): pass"
    found = loaded(install_plugin(tmp_path / "site", source), monkeypatch)
    # At least what it sleeps; how much longer it takes is the machine's affair.
    assert re.match(r"took [1-9][0-9]*\.[0-9] s to load", stranger(found).notes[0])


def test_first_party_names_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(install_plugin(tmp_path / "site", DOMAIN_PLUGIN.format(name="seg")), monkeypatch)
    assert found.domains["seg"].plugin == "faces"
    assert stranger(found).status == "ok"
    assert "'seg' is left out: faces (anchor-hub) has that name" in stranger(found).notes[0]


def test_two_strangers_with_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        install_plugin(
            tmp_path / "site", DOMAIN_PLUGIN.format(name="dog"), name=name, distribution=f"{name}-dist"
        )
    found = loaded(tmp_path / "site", monkeypatch)
    with pytest.raises(PluginError, match=r"one \(one-dist\) and two \(two-dist\)"):
        found.domains["dog"]
    assert "dog" in found.domains and found.domains["seg"].plugin == "faces"


def test_two_distributions_with_one_plugin_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for distribution in ("one-dist", "two-dist"):
        install_plugin(tmp_path / "site", DOMAIN_PLUGIN.format(name="dog"), distribution=distribution)
    install_plugin(tmp_path / "site", DOMAIN_PLUGIN.format(name="cow"), name="faces", distribution="impostor")
    found = loaded(tmp_path / "site", monkeypatch)
    reasons = [plugin.reason for plugin in found.plugins if plugin.name == "stranger"]
    assert len(reasons) == 2 and all("one-dist" in reason and "two-dist" in reason for reason in reasons)
    states = {plugin.distribution: plugin.status for plugin in found.plugins if plugin.name == "faces"}
    assert states == {"anchor-hub": "ok", "impostor": "quarantined"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {"one", "two"}),
        ("", set()),
        ("one", {"one"}),
        (" two-dist , nobody", {"two"}),
        ("ONE,two", {"one", "two"}),
    ],
)
def test_load_plugins_limits_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, expected: set[str]
) -> None:
    for name in ("one", "two"):
        install_plugin(
            tmp_path / "site", DOMAIN_PLUGIN.format(name=name), name=name, distribution=f"{name}-dist"
        )
    if value is not None:
        monkeypatch.setenv("ANCHOR_LOAD_PLUGINS", value)
    found = loaded(tmp_path / "site", monkeypatch)
    own = {"avatars", "builtin", "deepi2i", "faces", "finetune", "gpunit", "hands"}
    assert {plugin.name for plugin in found.plugins} == own | set(expected)


def test_targets(tmp_path: Path) -> None:
    found = registry()
    assert found.load("anchor_hub.plugins.registry:Registry") is Registry
    for target in ("anchor_hub.plugins.registry:Nothing", "no_such_module_at_all:x"):
        with pytest.raises(PluginError, match=target.replace(".", r"\.")):
            found.load(target)
    with pytest.raises(ValueError, match="must read"):
        found.load("os.system('x')")


# -- the home -------------------------------------------------------------------------------------------


def test_home_bundles_appear_without_a_restart(tmp_path: Path) -> None:
    found = registry()
    assert "spot" not in found.domains
    tiny_hub(tmp_path / "home" / "hubs" / "tiny")
    tiny_domain(tmp_path / "home" / "domains" / "spot")
    record = found.domains["spot"]
    assert (record.source, record.spec.hub, record.spec.modality) == ("home", "tiny", {"name": "rgb"})
    assert record.bundle == tmp_path / "home" / "domains" / "spot"
    assert found.hubs["tiny"].bundle == tmp_path / "home" / "hubs" / "tiny"


def test_home_wins_with_a_note_and_keeps_the_samples(tmp_path: Path) -> None:
    tiny_domain(tmp_path / "home" / "domains" / "sketch", "sketch", modality={"name": "gray"})
    record = registry().domains["sketch"]
    assert record.source == "home" and record.note == "in place of the one of faces (anchor-hub)"
    assert record.spec.dataset == "rendered-faces:sketch" and record.bundle is not None


def test_one_broken_bundle_harms_no_other(tmp_path: Path) -> None:
    broken = tiny_domain(tmp_path / "home" / "domains" / "spot")
    (broken / "bundle.yaml").write_text("kind: [")
    (tmp_path / "home" / "domains" / "Not A Name").mkdir()
    (tmp_path / "home" / "domains" / ".hidden.tmp").mkdir()
    found = registry()
    assert "Not A Name" not in found.domains
    with pytest.raises(BundleError, match=r"spot/bundle.yaml"):
        found.domains["spot"]
    assert found.domains["seg"].plugin == "faces"


def test_a_hundred_domains_cost_one_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny_domain(tmp_path / "home" / "domains" / "d0")
    for index in range(1, 100):
        folder = tmp_path / "home" / "domains" / f"d{index}"
        folder.mkdir()
        for item in made.iterdir():
            (folder / item.name).write_bytes(item.read_bytes())
    # Manifests that nobody asks for are not read: damage in one is only found by asking.
    (tmp_path / "home" / "domains" / "d50" / "bundle.yaml").write_text("x")
    found = registry()
    opened: list[Path] = []
    listed: list[Path] = []
    opens, iterdir = guarded.open_regular, Path.iterdir
    monkeypatch.setattr(guarded, "open_regular", lambda path, *most: (opened.append(Path(path)), opens(path, *most))[1])
    monkeypatch.setattr(Path, "iterdir", lambda self: (listed.append(self), iterdir(self))[1])
    names = found.domains
    assert sum(name.startswith("d") and name[1:].isdigit() for name in names) == 100
    assert listed == [tmp_path / "home" / "domains"] and opened == []
    assert names["d7"].spec.hub == "tiny"
    assert listed == [tmp_path / "home" / "domains"]
    assert opened == [tmp_path / "home" / "domains" / "d7" / "bundle.yaml"]
