"""What the bundle commands do: list, show, verify, export and remove. Only verifying imports torch.

The same code serves every kind that is installed and found by name: hubs, domains, translators and priors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anchor_hub.bundles.archive import export_bundle, install_bundle, remove_bundle
from anchor_hub.bundles.base import INSTALLED_KINDS, MANIFEST, Bundle, Kind, Requirement, open_bundle
from anchor_hub.errors import AnchorError, UsageError, did_you_mean
from anchor_hub.hubs.classes import read_classes
from anchor_hub.plugins.finding import how_to_train, registered
from anchor_hub.plugins.names import Names, Registered
from anchor_hub.plugins.registry import registry
from anchor_hub.plugins.usable import Installed, lacks
from anchor_hub.system.home import home

#: State of what is registered without a bundle, by kind.
UNTRAINED: dict[Kind, str] = {
    "hub": "not trained", "domain": "can be added", "translator": "can be trained", "prior": "can be trained",
}  # fmt: skip


def names(kind: Kind) -> Names[Any]:
    """The registry's names of one kind: "hub", "domain", "translator" or "prior"."""
    return registered(kind)


def describe(kind: Kind, name: str, installed: Installed | None = None) -> dict[str, Any]:
    """One row: name, state, source, summary, path, note, and what its kind has (a domain's hub, a translator's ends).

    state: "ready", "damaged", "needs plugin NAME", "needs hub NAME", or that training is needed (`UNTRAINED`). note:
    what is odd, and what to do. installed: the bundles as read so far, for all rows of one listing.
    """
    installed = installed or Installed()
    row: dict[str, Any] = {"name": name, "state": "ready", "source": "home", "summary": "", "path": None, "note": ""}
    row.update(_own_columns(kind, None))
    try:
        record = installed.record(kind, name)
    except AnchorError as error:
        return {**row, "state": "damaged", "note": str(error)}
    row.update(source=record.source if record.source == "home" else record.plugin, summary=record.spec.summary)
    row.update(note=record.note, **_own_columns(kind, record))
    if record.bundle is None:
        declared = record.spec.bundle
        if declared and Path(declared).is_dir():
            return {**row, "state": "damaged", "path": declared, "note": f"{declared}: holds no bundle.yaml"}
        return {**row, "state": UNTRAINED[kind]}
    row["path"] = str(record.bundle)
    try:
        manifest = installed.manifest(kind, name)
    except AnchorError as error:
        return {**row, "state": "damaged", "note": str(error)}
    if kind == "hub" and manifest is not None:
        row.update(_generator(manifest.architecture))
    missing = lacks(manifest, installed) if manifest is not None else []
    if missing:
        notes = [*([record.note] if record.note else []), *(lack.message for lack in missing)]
        row.update(state=missing[0].state, note="; ".join(notes))
    return row


def _own_columns(kind: Kind, record: Registered[Any] | None) -> dict[str, Any]:
    """The columns that only rows of this kind have; empty values where the record cannot be read."""
    spec = record.spec if record is not None else None
    if kind == "domain":
        return {"modality": str(spec.modality.get("name", "")) if spec else "", "hub": spec.hub if spec else ""}
    if kind == "translator":
        ends = {"from": spec.source, "to": list(spec.targets)} if spec else {"from": "", "to": []}
        return {**ends, "backend": spec.backend if spec else ""}
    return _generator({}) if kind == "hub" else {}


def _generator(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """A hub's columns: its architecture, the side of its images, the length of a latent of one layer, its classes."""
    config = architecture.get("config")
    config = config if isinstance(config, Mapping) else {}
    facts = {name: config.get(key, "") for name, key in (("px", "size"), ("latent", "latent_dim"))}
    return {"architecture": architecture.get("name", ""), **facts, "classes": config.get("classes") or ""}


def describe_all(kind: Kind) -> list[dict[str, Any]]:
    """A row for every name, sorted by name; each manifest is read once."""
    installed = Installed()
    return [describe(kind, name, installed) for name in installed.names(kind)]


def locate(kind: Kind, name: str) -> Bundle:
    """The bundle of a registered name or of a folder given as a path; raises an error that says how to get one."""
    found = names(kind)
    # As for `--from` and `--hub`: a registered name wins over a bundle's folder of that name right here.
    if "/" in name or "\\" in name or (name not in found and Path(name, MANIFEST).is_file()):
        return open_bundle(name, kind)
    for other in INSTALLED_KINDS:
        if name not in found and other != kind and name in names(other):
            raise UsageError(f"no {kind} is named {name!r}: that is a {other}; use `anchor {other}s` for it")
    record = found[name]
    if record.bundle is None:
        how = f"`{how_to_train(kind, name)}` trains it"
        raise UsageError(f"the {kind} {name!r} has no bundle on this machine yet: {how}")
    return open_bundle(record.bundle, kind)


def show(kind: Kind, name: str) -> dict[str, Any]:
    """The manifest as a dict, with `path`, `bytes`, `card`, and `needs`: a sentence for each thing missing."""
    bundle = locate(kind, name)
    classes = read_classes(bundle)
    sizes = {item.name: item.stat().st_size for item in bundle.path.iterdir() if item.is_file()}
    needs = [lack.message for lack in lacks(bundle.manifest)]
    return {
        **bundle.manifest.as_table(),
        **({"classes": list(classes)} if classes else {}),
        **({"needs": needs} if needs else {}),
        "path": str(bundle.path),
        "bytes": sum(sizes.values()),
        "card": bundle.card(),
    }


def verify(kind: Kind, wanted: Sequence[str] = ()) -> dict[str, list[str]]:
    """Name -> problems (empty: all is well) of the named bundles, by default of all that are there.

    A problem is a damaged file, an architecture that makes no networks, and
    whatever keeps a sound bundle from being used here: a plugin, or another bundle.
    """
    from anchor_hub.domains.checking import architecture_problems

    result: dict[str, list[str]] = {}
    installed = Installed()
    untrained = set() if wanted else {row["name"] for row in describe_all(kind) if row["state"] == UNTRAINED[kind]}
    for name in wanted or [name for name in installed.names(kind) if name not in untrained]:
        try:
            bundle = locate(kind, name)
            needs = [f"{bundle.path}: {lack.message}" for lack in lacks(bundle.manifest, installed)]
            result[name] = [*(bundle.verify() or architecture_problems(bundle)), *needs]
        except AnchorError as error:
            if wanted and error.exit_code == 2:
                raise
            result[name] = [str(error)]
    return result


def install(kind: Kind, source: Path, *, name: str | None = None, overwrite: bool = False) -> Path:
    """Install an archive or a bundle's folder whose networks can be built; returns the new folder.

    Raises what :func:`anchor_hub.bundles.archive.install_bundle` raises.
    """
    from anchor_hub.domains.checking import architecture_problems

    return install_bundle(source, kind=kind, name=name, overwrite=overwrite, check=architecture_problems)


def export(
    kind: Kind, name: str, output: Path, *, with_required: bool = False, overwrite: bool = False
) -> tuple[list[Path], list[Requirement]]:
    """Write a bundle's archive, and with `with_required` one beside it of each bundle that it requires.

    Returns the archives' paths, and the requirements that none of them holds. UsageError (before anything is written)
    where a required bundle is to be exported and is not on this machine, or an archive exists.
    """
    installed, bundle = Installed(), locate(kind, name)
    beside: list[Bundle] = []
    left_out = list(bundle.manifest.requirements())
    pending = list(left_out) if with_required else []
    while pending:
        needed = pending.pop(0)
        held = installed.providing(needed)
        if held is None:
            what = f"the {needed.kind} {needed.name}"
            raise UsageError(f"--with-required: {what} is not on this machine: install it first")
        other = locate(needed.kind, held)
        if all(other.path != known.path for known in beside):
            beside.append(other)
            pending += other.manifest.requirements()
    folder = output if output.is_dir() else output.parent
    archives = [folder / f"{other.manifest.name}.zip" for other in beside]
    for archive in archives:
        if archive.exists() and not overwrite:
            raise UsageError(f"{archive}: exists already; choose another name or pass --overwrite")
    written = [export_bundle(bundle.path, output, overwrite=overwrite)]
    for other, archive in zip(beside, archives, strict=True):
        if archive == written[0]:
            raise UsageError(f"{archive}: is the archive of {name!r} itself; name another with -o")
        written.append(export_bundle(other.path, archive, overwrite=overwrite))
    return written, [] if with_required else left_out


def remove(kind: Kind, name: str, *, force: bool = False) -> Path:
    """Remove a bundle from the home; returns its folder.

    What installed bundles require, with no copy elsewhere on this machine, is removed only with `force`.
    """
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
    users = [] if force else _users(kind, folder)
    if users:
        raise UsageError(
            f"the {kind} {name!r} is used by {' and '.join(users)}: remove them first, or pass --force"
        )
    return remove_bundle(kind, name)


def _users(kind: Kind, folder: Path) -> list[str]:
    """Texts like "the domains a, b": what requires the bundle in `folder`; none if a copy of it is elsewhere."""
    try:
        identity = open_bundle(folder, kind).manifest.identity
    except AnchorError:
        return []
    if not identity or _is_elsewhere(kind, identity, folder):
        return []
    installed, users = Installed(), []
    for other in INSTALLED_KINDS:
        requiring = [
            name
            for name, manifest in installed.manifests(other)
            if any((need.kind, need.fingerprint) == (kind, identity) for need in manifest.requirements())
        ]
        if requiring:
            users.append(f"the {other}s {', '.join(requiring)}")
    return users


def _is_elsewhere(kind: Kind, identity: str, folder: Path) -> bool:
    """Whether a bundle with that fingerprint stays on this machine without `folder`: in the home or in a plugin."""
    folders = [item for item in home().folder(kind).glob("[!.]*") if item != folder]
    for plugin in registry().plugins:
        specs = plugin.specs.get(f"{kind}s", ())
        folders += [Path(found) for spec in specs if (found := getattr(spec, "bundle", None))]
    for other in folders:
        try:
            if open_bundle(other, kind).manifest.identity == identity:
                return True
        except AnchorError:
            continue
    return False
