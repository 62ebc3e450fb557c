"""Finds by name what plugins register and what lies in the home; `anchor_hub.plugins.loading.HOOKS` lists the kinds.

Nothing is opened until it is asked for: plugins register names and paths, the home is listed, manifests are
read one by one. If several records have one name, the user's home wins, then this project, then third-party plugins;
two third-party plugins with one name are an error that names both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from anchor_hub import errors
from anchor_hub.errors import PluginError, UsageError
from anchor_hub.plugins.loading import HOOKS, Plugin, load_plugins, reasons
from anchor_hub.plugins.names import Names as Names
from anchor_hub.plugins.names import Registered as Registered
from anchor_hub.specs import (
    ArchitectureSpec,
    BackendSpec,
    BenchmarkSpec,
    CheckpointSpec,
    CommandSpec,
    DatasetSpec,
    DomainSpec,
    ExtractorSpec,
    HubSpec,
    InverterSpec,
    ModalitySpec,
    PriorSpec,
    RecipeSpec,
    Spec,
    TranslatorSpec,
    check_name,
    import_target,
)
from anchor_hub.system.home import home

if TYPE_CHECKING:
    from anchor_hub.bundles.base import BundleManifest, Kind


class Registry:
    """Everything known on this machine. `anchor_hub.plugins.registry.registry()` gives the process's own."""

    def __init__(self, plugins: list[Plugin] | None = None) -> None:
        self.plugins = load_plugins() if plugins is None else plugins

    def collections(self) -> dict[str, Names[Any]]:
        """Every collection by its name, in the order of HOOKS."""
        return {hook.collection: getattr(self, hook.collection) for hook in HOOKS.values()}

    def _from_plugins(self, collection: str) -> Names[Any]:
        hook = HOOKS[f"anchor_register_{collection}"]
        kind = hook.kind
        names: Names[Any] = Names(kind, reasons(self.plugins), hook.not_found)
        for plugin in sorted(self.plugins, key=lambda item: not item.first_party):
            source = "first-party" if plugin.first_party else "third-party"
            for spec in plugin.specs.get(collection, ()):
                held = names.first(spec.key)
                if held is not None and held.source == "first-party":
                    note = f"its {kind} {spec.key!r} is left out: {held.label} has that name"
                    if note not in plugin.notes:
                        plugin.notes.append(note)
                    continue
                names.add(Registered(spec, plugin.name, source, plugin.distribution))
        return names

    @property
    def hubs(self) -> Names[HubSpec]:
        """Hubs by name; those in the home are looked up afresh at every access."""
        return self._with_home("hubs")

    @property
    def domains(self) -> Names[DomainSpec]:
        """Domains by name; those in the home are looked up afresh at every access."""
        return self._with_home("domains")

    @property
    def translators(self) -> Names[TranslatorSpec]:
        """Translators by name; those in the home are looked up afresh at every access."""
        return self._with_home("translators")

    @property
    def priors(self) -> Names[PriorSpec]:
        """Priors by name; those in the home are looked up afresh at every access."""
        return self._with_home("priors")

    @functools.cached_property
    def architectures(self) -> Names[ArchitectureSpec]:
        return self._from_plugins("architectures")

    @functools.cached_property
    def checkpoints(self) -> Names[CheckpointSpec]:
        return self._from_plugins("checkpoints")

    @functools.cached_property
    def inverters(self) -> Names[InverterSpec]:
        return self._from_plugins("inverters")

    @functools.cached_property
    def modalities(self) -> Names[ModalitySpec]:
        return self._from_plugins("modalities")

    @functools.cached_property
    def backends(self) -> Names[BackendSpec]:
        return self._from_plugins("backends")

    @functools.cached_property
    def datasets(self) -> Names[DatasetSpec]:
        return self._from_plugins("datasets")

    @functools.cached_property
    def recipes(self) -> Names[RecipeSpec]:
        return self._from_plugins("recipes")

    @functools.cached_property
    def extractors(self) -> Names[ExtractorSpec]:
        return self._from_plugins("extractors")

    @functools.cached_property
    def benchmarks(self) -> Names[BenchmarkSpec]:
        return self._from_plugins("benchmarks")

    @functools.cached_property
    def commands(self) -> Names[CommandSpec]:
        return self._from_plugins("commands")

    def _with_home(self, collection: str) -> Names[Any]:
        names, kind = self._from_plugins(collection), HOOKS[f"anchor_register_{collection}"].kind
        for name, folder in home_bundles(kind).items():
            names.defer(name, functools.partial(_from_home, kind, folder, names.first(name)))
        return names

    def load(self, target: str, what: str = "") -> Any:
        """The object that a target (`"module:attribute"` or `"module"`) names; PluginError naming `what` otherwise."""
        try:
            return import_target(target)
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{what or target}: {target} cannot be loaded: {type(error).__name__}: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error


def home_bundles(kind: str) -> dict[str, Path]:
    """Name -> folder of the bundles of `kind` in the home; manifests are not read. Empty where there is no home.
    """
    try:
        folder = home().folder(kind)
        # A folder whose overwriting died between its two renames is put back first.
        for item in folder.glob(".*.previous"):
            from anchor_hub.system.files import recover_folder  # rare, and its hashing is slow to import

            recover_folder(item.with_name(item.name[1 : -len(".previous")]))
        entries = sorted(folder.iterdir())
    except (OSError, errors.HomeError):
        return {}
    found = {}
    for entry in entries:
        try:
            check_name(entry.name)
        except UsageError:
            continue
        if entry.is_dir():
            found[entry.name] = entry
    return found


def _from_home(kind: str, folder: Path, shadowed: Registered[Any] | None) -> Registered[Any]:
    """The record of a bundle in the home; BundleError where its manifest cannot be used."""
    from anchor_hub.bundles.base import open_bundle

    manifest = open_bundle(folder, cast("Kind", kind)).manifest
    spec = _SPECS[kind](manifest, str(folder), shadowed.spec if shadowed else None)
    note = f"in place of the one of {shadowed.label}" if shadowed else ""
    return Registered(spec, "home", "home", note=note, manifest=manifest)


def _hub(manifest: BundleManifest, folder: str, shadowed: HubSpec | None) -> HubSpec:
    return HubSpec(Path(folder).name, bundle=folder, summary=shadowed.summary if shadowed else "")


def _domain(manifest: BundleManifest, folder: str, shadowed: DomainSpec | None) -> DomainSpec:
    modality = manifest.modality or {}
    hub = manifest.hub or str(manifest.architecture.get("hub") or "")
    # A trained modality adds to a registered one and never drops options; the size of landmarks' images is its hub's.
    known = {key: value for key, value in shadowed.modality.items() if key != "size"} if shadowed else {}
    if shadowed is not None and known.items() <= modality.items():
        return replace(shadowed, bundle=folder, hub=hub or shadowed.hub, modality=modality)
    return DomainSpec(Path(folder).name, hub=hub, modality=modality, bundle=folder)


def _translator(manifest: BundleManifest, folder: str, shadowed: TranslatorSpec | None) -> TranslatorSpec:
    ends = {
        "backend": str(manifest.architecture.get("name") or ""),
        "source": str(manifest.source["name"]) if manifest.source else "",
        "targets": tuple(str(target["name"]) for target in manifest.targets),
    }
    if shadowed is not None and all(getattr(shadowed, field) == value for field, value in ends.items()):
        return replace(shadowed, bundle=folder)
    return TranslatorSpec(Path(folder).name, bundle=folder, **ends)  # type: ignore[arg-type]


def _prior(manifest: BundleManifest, folder: str, shadowed: PriorSpec | None) -> PriorSpec:
    return replace(shadowed or PriorSpec(Path(folder).name), bundle=folder)


_SPECS: dict[str, Callable[[BundleManifest, str, Any], Spec]] = {
    "hub": _hub, "domain": _domain, "translator": _translator, "prior": _prior,
}  # fmt: skip


@functools.cache
def registry() -> Registry:
    """This process's registry; plugins load on the first call. `registry.cache_clear()` forgets them."""
    return Registry()
