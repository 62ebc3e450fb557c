"""Whether a bundle can be used on this machine, and what it lacks: a plugin, a hub, a prior, a domain. No torch.

Loading, listings, `show`, `verify`, `doctor` and `install` all ask here and so say the same sentence.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anchor_hub.bundles.base import Bundle, BundleManifest, Requirement, open_bundle
from anchor_hub.errors import AnchorError, BundleError
from anchor_hub.plugins.finding import how_to_train, registered
from anchor_hub.plugins.names import Names, Registered
from anchor_hub.plugins.registry import registry

#: `architecture.name` of bundles that state none.
DEFAULT_ARCHITECTURES = {"domain": "anchored"}


@dataclass(frozen=True)
class Lack:
    """One thing that a bundle needs and this machine lacks.

    state: the short form for listings, `needs plugin anchor-toy`. message: the sentence, with what to do.
    """

    state: str
    message: str


class Installed:
    """The bundles on this machine as they are now; each record and manifest is read at most once."""

    def __init__(self) -> None:
        self._names: dict[str, Names[Any]] = {}
        self._records: dict[tuple[str, str], Registered[Any]] = {}
        self._manifests: dict[tuple[str, str], BundleManifest | AnchorError] = {}
        self._identities: dict[str, dict[str, str]] = {}

    def names(self, kind: str) -> Names[Any]:
        """The registered names of one kind."""
        if kind not in self._names:
            self._names[kind] = registered(kind)
        return self._names[kind]

    def record(self, kind: str, name: str) -> Registered[Any]:
        """The record of that name; raises NotFoundError, PluginError or (damaged bundle in the home) BundleError."""
        if (kind, name) not in self._records:
            self._records[kind, name] = self.names(kind)[name]
        return self._records[kind, name]

    def manifest(self, kind: str, name: str) -> BundleManifest | None:
        """The manifest of that name's bundle, None if there is none; raises what `record` raises, and BundleError."""
        if (kind, name) not in self._manifests:
            try:
                record = self.record(kind, name)
                if record.bundle is None:
                    return None
                self._manifests[kind, name] = record.manifest or open_bundle(record.bundle, kind).manifest  # type: ignore[arg-type]
            except AnchorError as error:
                self._manifests[kind, name] = error
        found = self._manifests[kind, name]
        if isinstance(found, AnchorError):
            raise found
        return found

    def manifests(self, kind: str) -> Iterator[tuple[str, BundleManifest]]:
        """Name and manifest of every bundle of one kind that can be opened."""
        for name in self.names(kind):
            try:
                manifest = self.manifest(kind, name)
            except AnchorError:
                continue
            if manifest is not None:
                yield name, manifest

    def providing(self, requirement: Requirement) -> str | None:
        """The name of an installed bundle with the required fingerprint; None where there is none."""
        if requirement.kind not in self._identities:
            found: dict[str, str] = {}
            for name, manifest in self.manifests(requirement.kind):
                found.setdefault(str(manifest.identity), name)
            self._identities[requirement.kind] = found
        return self._identities[requirement.kind].get(requirement.fingerprint)


def lacks(manifest: BundleManifest, installed: Installed | None = None) -> list[Lack]:
    """Everything that keeps a bundle from being used here, plugins first; empty where it can be used.

    What a required bundle itself lacks counts, too. installed: the bundles as read so far, for all rows of one listing.
    """
    found = _missing_plugins(manifest)
    installed = installed or Installed()
    pending, seen = list(manifest.requirements()), set()
    while pending:
        needed = pending.pop(0)
        if (needed.kind, needed.fingerprint) in seen:
            continue
        seen.add((needed.kind, needed.fingerprint))
        name = installed.providing(needed)
        held = installed.manifest(needed.kind, name) if name is not None else None
        if name is None or held is None:
            found.append(_missing(needed, installed))
            continue
        found += [Lack(lack.state, f"its {needed.kind} {name} {lack.message}") for lack in _missing_plugins(held)]
        pending += held.requirements()
    return found


def require_usable(bundle: Bundle) -> None:
    """Raise BundleError with the first lack's sentence unless the bundle can be used on this machine."""
    for lack in lacks(bundle.manifest):
        raise BundleError(f"{bundle.path}: {lack.message}")


def architecture_class(bundle: Bundle, kind: str) -> Any:
    """The class that loads a bundle of a hub, domain or prior: the registered architecture that its manifest names.

    :raises BundleError: the plugin that brings the architecture or the bundle's modality is not installed.
    """
    for lack in _missing_plugins(bundle.manifest):
        raise BundleError(f"{bundle.path}: {lack.message}")
    name = architecture_name(bundle.manifest)
    record = registry().architectures[name]
    if bundle.manifest.kind != kind or record.spec.kind != kind:
        raise BundleError(f"{bundle.path}: is a {bundle.manifest.kind} bundle, a {kind} is needed here")
    return registry().load(record.spec.target, f"architecture {name!r}")


def plugins_behind(
    kind: str, architecture: Mapping[str, Any], modalities: Iterable[str | Mapping[str, Any] | None] = ()
) -> dict[str, str]:
    """`{distribution: version}` of the plugins that bring a bundle's architecture (or backend) and modalities.

    `write_bundle` takes this as `plugins`; the project's own plugins do not count. modalities: names, or their tables.
    """
    tables = [{"name": item} if isinstance(item, str) else item for item in modalities]
    sides = [{"name": "", "modality": dict(table)} for table in tables if table]
    manifest = BundleManifest.model_construct(
        kind=kind, name="", architecture=dict(architecture), modality=None, source=None, targets=tuple(sides)
    )
    versions = {plugin.distribution: plugin.version for plugin in registry().plugins}
    found = {}
    for _, name, names in _needed_names(manifest):
        record = names.first(name)
        if record is not None and record.source == "third-party":
            found[record.distribution] = versions[record.distribution]
    return found


def architecture_name(manifest: BundleManifest) -> str:
    """The name under which the architecture (of a translator: its backend) is registered."""
    return str(manifest.architecture.get("name", DEFAULT_ARCHITECTURES.get(manifest.kind, "")))


def _needed_names(manifest: BundleManifest) -> Iterator[tuple[str, str, Names[Any]]]:
    """(what it is, its name, the registry of such names) for everything in a bundle that a plugin brings."""
    if manifest.kind == "translator":
        yield "backend", architecture_name(manifest), registry().backends
    elif manifest.kind != "judges":
        yield f"{manifest.kind} architecture", architecture_name(manifest), registry().architectures
    for name in manifest.modalities():
        yield "modality", name, registry().modalities


def _missing_plugins(manifest: BundleManifest) -> list[Lack]:
    missing = []
    for what, name, names in _needed_names(manifest):
        first = names.first(name)
        if first is None or (names is registry().architectures and first.spec.kind != manifest.kind):
            missing.append(f"{what} {name!r}")
    if not missing:
        return []
    wanted = ", ".join(missing)
    # Of a distribution with several plugins, the one that failed.
    plugins = sorted(registry().plugins, key=lambda plugin: plugin.status != "ok")
    loaded = {plugin.distribution: plugin for plugin in plugins}
    found = []
    for distribution, version in manifest.plugins.items():
        plugin = loaded.get(distribution)
        if plugin is None:
            chosen = " or ANCHOR_LOAD_PLUGINS leaves out" if "ANCHOR_LOAD_PLUGINS" in os.environ else ""
            message = (
                f"needs plugin {distribution} ({version}), which is not installed{chosen}, for its {wanted}: "
                f"pip install {distribution}"
            )
        elif plugin.status != "ok":
            message = f"needs plugin {distribution}, which is not loaded (`anchor plugins` says why), for its {wanted}"
        else:
            continue
        found.append(Lack(f"needs plugin {distribution}", message))
    if found:
        return found
    if manifest.plugins:
        here = ", ".join(f"{name} {loaded[name].version}" for name in manifest.plugins)
        then = ", ".join(manifest.plugins.values())
        message = f"needs the {wanted}, which {here} does not bring (the bundle was made with {then})"
        return [Lack(f"needs plugin {', '.join(manifest.plugins)}", message)]
    return [
        Lack(
            f"needs plugin for {missing[0]}",
            f"needs a plugin that is not installed: nothing here registers its {wanted}; install that plugin, or a "
            "newer Anchor Hub",
        )
    ]


def _missing(needed: Requirement, installed: Installed) -> Lack:
    kind, name = needed.kind, needed.name
    other = ""
    try:
        if name in installed.names(kind) and installed.manifest(kind, name) is not None:
            other = f"; the {kind} {name} that is here is another one"
    except AnchorError:
        other = f"; the {kind} {name} that is here is damaged"
    train = f", or train it: {how_to_train(kind, name)}" if name in installed.names(kind) and not other else ""
    message = (
        f"its {kind} {name} (fingerprint {needed.fingerprint[:12]}) is not on this machine{other}: install it, too "
        f"(anchor {kind}s install){train}"
    )
    return Lack(f"needs {kind} {name}", message)
