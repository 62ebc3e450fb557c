"""Finds hubs, domains, modalities, backends, data sets, recipes and commands by name, from plugins and the home.

Nothing is opened until it is asked for: plugins register names and paths, the home is listed, manifests are
read one by one. Precedence of one name: the user's home, then this project, then others' plugins; two others
with one name is an error that names both.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub import errors
from anchor_hub.errors import PluginError, UsageError
from anchor_hub.plugins.loading import Plugin, load_plugins, reasons
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
    TranslatorSpec,
    check_name,
    import_target,
)
from anchor_hub.system.home import home

if TYPE_CHECKING:
    from anchor_hub.bundles.base import Bundle


class Registry:
    """Everything known on this machine. `anchor_hub.plugins.registry.registry()` gives the process's own."""

    def __init__(self, plugins: list[Plugin] | None = None) -> None:
        self.plugins = load_plugins() if plugins is None else plugins

    def _from_plugins(self, kind: str, collection: str) -> Names[Any]:
        names: Names[Any] = Names(kind, reasons(self.plugins))
        for plugin in sorted(self.plugins, key=lambda item: not item.first_party):
            source = "first-party" if plugin.first_party else "third-party"
            for spec in plugin.specs.get(collection, ()):
                held = names.first(spec.name)
                if held is not None and held.source == "first-party":
                    note = f"its {kind} {spec.name!r} is left out: {held.label} has that name"
                    if note not in plugin.notes:
                        plugin.notes.append(note)
                    continue
                names.add(Registered(spec, plugin.name, source, plugin.distribution))
        return names

    @property
    def hubs(self) -> Names[HubSpec]:
        """Hubs by name; those in the home are looked up afresh at every access."""
        return self._with_home("hub", "hubs")

    @property
    def domains(self) -> Names[DomainSpec]:
        """Domains by name; those in the home are looked up afresh at every access."""
        return self._with_home("domain", "domains")

    @property
    def translators(self) -> Names[TranslatorSpec]:
        """Translators by name; those in the home are looked up afresh at every access."""
        return self._with_home("translator", "translators")

    @property
    def priors(self) -> Names[PriorSpec]:
        """Priors by name; those in the home are looked up afresh at every access."""
        return self._with_home("prior", "priors")

    @functools.cached_property
    def architectures(self) -> Names[ArchitectureSpec]:
        return self._from_plugins("architecture", "architectures")

    @functools.cached_property
    def checkpoints(self) -> Names[CheckpointSpec]:
        return self._from_plugins("checkpoint", "checkpoints")

    @functools.cached_property
    def inverters(self) -> Names[InverterSpec]:
        return self._from_plugins("inverter", "inverters")

    @functools.cached_property
    def modalities(self) -> Names[ModalitySpec]:
        return self._from_plugins("modality", "modalities")

    @functools.cached_property
    def backends(self) -> Names[BackendSpec]:
        return self._from_plugins("backend", "backends")

    @functools.cached_property
    def datasets(self) -> Names[DatasetSpec]:
        return self._from_plugins("dataset", "datasets")

    @functools.cached_property
    def recipes(self) -> Names[RecipeSpec]:
        return self._from_plugins("recipe", "recipes")

    @functools.cached_property
    def extractors(self) -> Names[ExtractorSpec]:
        return self._from_plugins("extractor", "extractors")

    @functools.cached_property
    def benchmarks(self) -> Names[BenchmarkSpec]:
        return self._from_plugins("benchmark", "benchmarks")

    @functools.cached_property
    def commands(self) -> Names[CommandSpec]:
        return self._from_plugins("command", "commands")

    def _with_home(self, kind: str, collection: str) -> Names[Any]:
        names = self._from_plugins(kind, collection)
        for name, folder in home_bundles(kind).items():
            names.defer(name, functools.partial(_from_home, kind, folder, names.first(name)))
        return names

    def load(self, target: str, what: str = "") -> Any:
        """Import `"module:attribute"`; PluginError naming `what` (or the target) where that fails."""
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
        # A folder caught between the two renames of an overwrite is put back first.
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
    note = f"in place of the one of {shadowed.label}" if shadowed else ""
    if kind == "hub":
        summary = shadowed.spec.summary if shadowed else ""
        return Registered(
            HubSpec(folder.name, bundle=str(folder), summary=summary), "home", "home", note=note
        )
    from anchor_hub.bundles.base import open_bundle

    manifest = open_bundle(folder, "domain").manifest
    modality = manifest.modality or {}
    hub = manifest.hub or str(manifest.architecture.get("hub") or "")
    # A trained modality says more than a registered one, never less; the size of landmarks' images is its hub's.
    known = {key: value for key, value in shadowed.spec.modality.items() if key != "size"} if shadowed else {}
    if shadowed is not None and known.items() <= modality.items():
        spec = replace(shadowed.spec, bundle=str(folder), hub=hub or shadowed.spec.hub, modality=modality)
    else:
        spec = DomainSpec(folder.name, hub=hub, modality=modality, bundle=str(folder))
    return Registered(spec, "home", "home", note=note)


@functools.cache
def registry() -> Registry:
    """This process's registry; plugins load on the first call. `registry.cache_clear()` forgets them."""
    return Registry()


def architecture_class(bundle: Bundle, kind: str, *, default: str = "") -> Any:
    """The class that loads a bundle: the registered architecture that its manifest names.

    :param default: the name of the architecture of bundles that state none.
    :raises BundleError: nobody registered that architecture for bundles of this kind; the plugin is missing.
    """
    name = bundle.manifest.architecture.get("name", default)
    known = registry().architectures
    record = known[name] if isinstance(name, str) and name in known else None
    if record is None or record.spec.kind != kind:
        options = [item for item in known if known[item].spec.kind == kind]
        raise errors.BundleError(
            f"{bundle.path}: {kind} architecture {name!r} is unknown here; it needs a plugin that is not installed, or "
            f"a newer Anchor Hub (known: {', '.join(options)})"
        )
    return registry().load(record.spec.target, f"architecture {name!r}")
