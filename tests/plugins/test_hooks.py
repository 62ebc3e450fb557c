"""One table of hooks: what is in it is everywhere, and a hook that is not in it is nowhere by accident."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from anchor_hub import errors, hookspecs, specs
from anchor_hub.plugins.loading import HOOKS
from anchor_hub.plugins.names import Names
from anchor_hub.plugins.registry import Registry, registry
from anchor_hub.specs import Spec
from tests.cli.running import anchor
from tests.plugin_makers import hooks, install_plugin

#: What a spec of each collection needs besides its name.
ARGUMENTS: dict[str, str] = {
    "domains": "hub='faces-64', modality={'name': 'rgb'}",
    "hubs": "",
    "priors": "",
    "translators": "",
}


def spec_of(collection: str, name: str) -> str:
    hook = HOOKS[f"anchor_register_{collection}"]
    arguments = ARGUMENTS.get(collection, "target='anchor_hub.errors:AnchorError'")
    return f"{hook.spec.__name__}({name!r}, {arguments})"


def test_the_table_has_every_hook_every_spec_and_every_error() -> None:
    assert set(HOOKS) == {name for name in vars(hookspecs) if name.startswith("anchor_register_")}
    assert {hook.spec for hook in HOOKS.values()} == derived(specs, Spec) - {specs.TargetSpec}  # a base of others
    assert {hook.not_found for hook in HOOKS.values()} == derived(errors, errors.NotFoundError)
    assert all(name == f"anchor_register_{hook.collection}" for name, hook in HOOKS.items())


def derived(module: ModuleType, base: type) -> set[type]:
    """The classes of a module that derive from `base`."""
    return {item for item in vars(module).values() if isinstance(item, type) and issubclass(item, base)} - {base}


def test_every_collection_is_in_the_registry_and_finds_its_own_error() -> None:
    found = registry().collections()
    assert list(found) == [hook.collection for hook in HOOKS.values()]
    for hook in HOOKS.values():
        names = found[hook.collection]
        assert isinstance(names, Names)
        with pytest.raises(hook.not_found, match=f"no {hook.kind} is named 'nothing-of-it'"):
            names["nothing-of-it"]


def test_a_stranger_may_register_one_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = hooks(**{hook.collection: spec_of(hook.collection, "mine") for hook in HOOKS.values()})
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", source)))
    found = Registry()
    plugin = next(item for item in found.plugins if item.name == "stranger")
    assert (plugin.status, plugin.reason) == ("ok", "")
    for collection, names in found.collections().items():
        assert names["mine"].distribution == "stranger-dist", collection
    assert list(plugin.as_dict()["registers"]) == [hook.collection for hook in HOOKS.values()]


def first_party() -> dict[str, str]:
    """collection -> a name that this project registers, where it registers any."""
    return {collection: next(iter(names)) for collection, names in registry().collections().items() if len(names)}


def test_anchor_plugins_shows_every_collection_and_every_shadowed_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    registry.cache_clear()
    taken = first_party()
    source = hooks(**{collection: spec_of(collection, name) for collection, name in taken.items()})
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", source)))
    registry.cache_clear()
    try:
        rows: list[dict[str, Any]] = json.loads(anchor("plugins", "--json").stdout)
        table = anchor("plugins").stdout
    finally:
        registry.cache_clear()
    row = next(row for row in rows if row["name"] == "stranger")
    assert {"hubs", "domains", "checkpoints", "architectures", "recipes"} <= set(taken)
    for collection, name in taken.items():
        kind = HOOKS[f"anchor_register_{collection}"].kind
        assert any(note.startswith(f"its {kind} {name!r} is left out") for note in row["notes"]), collection
        assert f"{collection}: 1" in table
