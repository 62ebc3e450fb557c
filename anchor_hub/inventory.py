"""What `anchor hubs` and `anchor domains` say: rows about bundles, verification, removal. No torch until verifying.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchor_hub.bundles.archive import remove_bundle
from anchor_hub.bundles.base import MANIFEST, Bundle, Kind, open_bundle
from anchor_hub.errors import AnchorError, UsageError, did_you_mean
from anchor_hub.hubs.classes import read_classes
from anchor_hub.plugins.registry import Registered, registry
from anchor_hub.system.home import home


def names(kind: Kind) -> Any:
    """The registry's names of one kind: "hub" or "domain"."""
    return registry().hubs if kind == "hub" else registry().domains


def describe(kind: Kind, name: str, found: Any = None) -> dict[str, Any]:
    """One row: name, state ("ready", "can be added", "damaged"), source, modality, hub, path, summary."""
    row: dict[str, Any] = {
        "name": name,
        "state": "ready",
        "source": "home",
        "summary": "",
        "path": None,
        "note": "",
    }
    if kind == "domain":
        row.update(modality="", hub="")
    try:
        record: Registered[Any] = (found if found is not None else names(kind))[name]
    except AnchorError as error:
        return {**row, "state": "damaged", "note": str(error)}
    row.update(
        source=record.source if record.source == "home" else record.plugin, summary=record.spec.summary
    )
    row.update(note=record.note)
    if kind == "domain":
        row.update(modality=str(record.spec.modality.get("name", "")), hub=record.spec.hub)
    if record.bundle is None:
        declared = record.spec.bundle
        if declared and Path(declared).is_dir():
            return {**row, "state": "damaged", "path": declared, "note": f"{declared}: holds no bundle.yaml"}
        return {**row, "state": "can be added" if kind == "domain" else "not trained"}
    return {**row, "path": str(record.bundle)}


def describe_all(kind: Kind) -> list[dict[str, Any]]:
    """A row for every name, by name."""
    found = names(kind)
    return [describe(kind, name, found) for name in found]


def locate(kind: Kind, name: str) -> Bundle:
    """The bundle of a registered name (or of a folder given as a path); an error that says how to get it otherwise.
    """
    found = names(kind)
    # As for `--from` and `--hub`: a registered name wins over a bundle's folder of that name right here.
    if "/" in name or "\\" in name or (name not in found and Path(name, MANIFEST).is_file()):
        return open_bundle(name, kind)
    other: Kind = "domain" if kind == "hub" else "hub"
    if name not in found and name in names(other):
        raise UsageError(f"no {kind} is named {name!r}: that is a {other}; use `anchor {other}s` for it")
    record = found[name]
    if record.bundle is None:
        how = (
            f"`anchor add-domain {name}` trains it"
            if kind == "domain"
            else f"`anchor hubs train {name}` trains it"
        )
        raise UsageError(f"the {kind} {name!r} has no bundle on this machine yet: {how}")
    return open_bundle(record.bundle, kind)


def show(kind: Kind, name: str) -> dict[str, Any]:
    """The manifest as a dict, with `path`, `bytes` and `card`."""
    bundle = locate(kind, name)
    classes = read_classes(bundle)
    sizes = {item.name: item.stat().st_size for item in bundle.path.iterdir() if item.is_file()}
    return {
        **bundle.manifest.model_dump(exclude_none=True),
        **({"classes": list(classes)} if classes else {}),
        "path": str(bundle.path),
        "bytes": sum(sizes.values()),
        "card": bundle.card(),
    }


def verify(kind: Kind, wanted: Sequence[str] = ()) -> dict[str, list[str]]:
    """Name -> problems (empty: all is well) of the named bundles, by default of all that are there."""
    result: dict[str, list[str]] = {}
    rows = {row["name"]: row for row in describe_all(kind)} if not wanted else {}
    for name in wanted or [name for name, row in rows.items() if row["state"] in ("ready", "damaged")]:
        try:
            result[name] = locate(kind, name).verify()
        except AnchorError as error:
            if wanted and error.exit_code == 2:
                raise
            result[name] = [str(error)]
    return result


def remove(kind: Kind, name: str, *, force: bool = False) -> Path:
    """Remove a bundle from the home. A hub whose domains are installed, and that is nowhere else, goes only with
    `force`."""
    folder = home().folder(kind) / name
    found = names(kind)
    if not folder.is_dir() and name in found:
        record = found[name]
        raise UsageError(
            f"the {kind} {name!r} belongs to the plugin {record.label}, not to your home: it stays"
        )
    if not folder.is_dir():
        installed = [item.name for item in home().folder(kind).glob("*") if (item / MANIFEST).is_file()]
        raise UsageError(
            f"no {kind} named {name!r} is installed in {home().folder(kind)}.{did_you_mean(name, installed)}"
        )
    if kind == "hub" and not force:
        users = _domains_of(folder)
        if users:
            raise UsageError(
                f"the hub {name!r} is used by the domains {', '.join(users)}: remove them first, or "
                "pass --force"
            )
    return remove_bundle(kind, name)


def _domains_of(hub_folder: Path) -> list[str]:
    try:
        fingerprint = open_bundle(hub_folder, "hub").manifest.hub_fingerprint
    except AnchorError:
        return []
    if not fingerprint or _is_elsewhere(fingerprint, hub_folder):
        return []
    users = []
    for name in registry().domains:
        try:
            if locate("domain", name).manifest.hub_fingerprint == fingerprint:
                users.append(name)
        except AnchorError:
            continue
    return users


def _is_elsewhere(fingerprint: str, hub_folder: Path) -> bool:
    """Whether the hub with that fingerprint stays on this machine without `hub_folder`: in the home or in a plugin."""
    folders = [item for item in home().hubs.glob("[!.]*") if item != hub_folder]
    for plugin in registry().plugins:
        folders += [Path(found) for spec in plugin.specs.get("hubs", ()) if (found := getattr(spec, "bundle", None))]
    for folder in folders:
        try:
            if open_bundle(folder, "hub").manifest.hub_fingerprint == fingerprint:
                return True
        except AnchorError:
            continue
    return False
