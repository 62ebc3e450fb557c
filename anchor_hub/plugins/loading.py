"""Loads plugins, each on its own: one that fails is quarantined with its reason and does not affect the others."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

from anchor_hub import errors, hookspecs
from anchor_hub.errors import PluginError, UsageError, did_you_mean
from anchor_hub.plugins.installed import EntryPoint, entry_points
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
)

DISTRIBUTION = "anchor-hub"


class Hook(NamedTuple):
    """What one hook registers: collection of the registry, word for a record, its class, error if none is found."""

    collection: str
    kind: str
    spec: type[Spec]
    not_found: type[errors.NotFoundError]


#: The one table of what plugins may register, in the order in which it is listed.
HOOKS: dict[str, Hook] = {
    f"anchor_register_{collection}": Hook(collection, kind, spec, not_found)
    for collection, kind, spec, not_found in (
        ("hubs", "hub", HubSpec, errors.HubNotFoundError),
        ("domains", "domain", DomainSpec, errors.DomainNotFoundError),
        ("translators", "translator", TranslatorSpec, errors.TranslatorNotFoundError),
        ("priors", "prior", PriorSpec, errors.PriorNotFoundError),
        ("modalities", "modality", ModalitySpec, errors.ModalityNotFoundError),
        ("backends", "backend", BackendSpec, errors.BackendNotFoundError),
        ("architectures", "architecture", ArchitectureSpec, errors.ArchitectureNotFoundError),
        ("checkpoints", "checkpoint", CheckpointSpec, errors.CheckpointReaderNotFoundError),
        ("inverters", "inverter", InverterSpec, errors.InverterNotFoundError),
        ("datasets", "dataset", DatasetSpec, errors.DatasetNotFoundError),
        ("recipes", "recipe", RecipeSpec, errors.RecipeNotFoundError),
        ("extractors", "extractor", ExtractorSpec, errors.ExtractorNotFoundError),
        ("benchmarks", "benchmark", BenchmarkSpec, errors.BenchmarkNotFoundError),
        ("commands", "command", CommandSpec, errors.CommandNotFoundError),
    )
}
SLOW_SECONDS = 1.0
# pluggy looks at every name of the module that it takes hooks from, once per plugin: this one holds hooks only.
_HOOKSPECS = ModuleType("hookspecs")
vars(_HOOKSPECS).update({name: getattr(hookspecs, name) for name in HOOKS})


@dataclass
class Plugin:
    """One entry point and its state. `reason`: why it is quarantined; `notes`: what else is odd."""

    name: str
    distribution: str
    version: str
    target: str
    status: str = "ok"
    reason: str = ""
    hooks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    specs: dict[str, list[Spec]] = field(default_factory=dict, repr=False)

    @property
    def first_party(self) -> bool:
        return self.distribution == DISTRIBUTION

    @property
    def label(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"

    def quarantine(self, reason: str) -> None:
        self.status, self.reason = "quarantined", " ".join(reason.split())[:500]
        self.specs = {}

    def as_dict(self) -> dict[str, Any]:
        """What `anchor plugins --json` prints."""
        names = {kind: [spec.key for spec in specs] for kind, specs in self.specs.items()}
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "target": self.target,
            "status": self.status,
            "reason": self.reason,
            "hooks": self.hooks,
            "registers": names,
            "notes": self.notes,
        }


def _entry_points() -> list[EntryPoint]:
    found: dict[tuple[str, str, str], EntryPoint] = {}
    for entry in entry_points(hookspecs.PROJECT):
        # The same installation can be seen twice (two entries of sys.path): once is enough.
        found.setdefault((_distribution(entry), entry.name, entry.value), entry)
    return [found[key] for key in sorted(found, key=lambda key: (key[0] != DISTRIBUTION, *key))]


def _distribution(entry: EntryPoint) -> str:
    return entry.distribution.lower().replace("_", "-").replace(".", "-")


def load_plugins() -> list[Plugin]:
    """Load every entry point of the group `anchor_hub` that `ANCHOR_LOAD_PLUGINS` allows.

    ANCHOR_LOAD_PLUGINS: all plugins where it is not set; only the named ones where it is a comma-separated list of
    plugin or distribution names; none where it is empty. The project's own plugins always load.
    """
    allowed = os.environ.get("ANCHOR_LOAD_PLUGINS")
    wanted = (
        None if allowed is None else {item.strip().lower() for item in allowed.split(",") if item.strip()}
    )
    plugins = []
    entries = _entry_points()
    for entry in entries:
        distribution = _distribution(entry)
        if wanted is None or distribution == DISTRIBUTION or {entry.name.lower(), distribution} & wanted:
            plugins.append((Plugin(entry.name, distribution, entry.version, entry.value), entry))
    for plugin, entry in plugins:
        rivals = [other for other, _ in plugins if other.name == plugin.name and other is not plugin]
        if rivals and not plugin.first_party:
            plugin.quarantine(
                f"the plugin name {plugin.name!r} is also taken by {rivals[0].label}: uninstall "
                "one of the two "
                f"distributions, {plugin.distribution} or {rivals[0].distribution}"
            )
            continue
        try:
            check_name(plugin.name, "the plugin name")
        except UsageError as error:
            plugin.quarantine(str(error))
            continue
        _load(plugin, entry.load)
    return [plugin for plugin, _ in plugins]


def _load(plugin: Plugin, load: Callable[[], Any]) -> None:
    printed = io.StringIO()
    began = time.perf_counter()
    try:
        with contextlib.redirect_stdout(printed):
            module = load()
            plugin.hooks, plugin.specs = collect(module, plugin.name)
    except KeyboardInterrupt:
        raise
    except PluginError as error:
        plugin.quarantine(str(error))
    except SystemExit as error:
        plugin.quarantine(f"it calls sys.exit({error.code!r}) when loaded")
    except ModuleNotFoundError as error:
        plugin.quarantine(
            f"importing {plugin.target} fails: {error}; install what is missing or uninstall "
            f"{plugin.distribution}"
        )
    except BaseException as error:
        plugin.quarantine(f"loading {plugin.target} fails: {type(error).__name__}: {error}")
    seconds = time.perf_counter() - began
    if seconds > SLOW_SECONDS:
        plugin.notes.append(f"took {seconds:.1f} s to load: it should import heavy packages when used")
    if printed.getvalue().strip():
        plugin.notes.append(f"printed while loading: {' '.join(printed.getvalue().split())[:200]}")


def collect(module: Any, name: str = "plugin") -> tuple[list[str], dict[str, list[Spec]]]:
    """Call all hooks of one plugin; returns the hooks it implements and the specs it registered, by kind.

    Raises PluginError where the plugin breaks the contract: a misspelt hook, an unknown argument, a hook that
    raises, a record of the wrong type, an invalid or repeated name.
    """
    version = getattr(module, "ANCHOR_API", hookspecs.API_VERSION)
    if version != hookspecs.API_VERSION:
        raise PluginError(
            f"it is written for version {version!r} of the plugin contract, this Anchor Hub has "
            f"{hookspecs.API_VERSION}: "
            "install versions that fit each other"
        )
    # A manager of its own: no plugin's hook or wrapper can reach another's.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(_HOOKSPECS)
    try:
        manager.register(module, name=name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PluginError(_explain(error, module)) from error
    hooks = sorted(caller.name for caller in manager.get_hookcallers(module) or ())
    if not hooks:
        unmarked = [item for item in HOOKS if callable(getattr(module, item, None))]
        hint = f" ({unmarked[0]} lacks the @hookimpl decorator)" if unmarked else ""
        raise PluginError(f"it is not a plugin: it implements no hook{hint}")
    specs: dict[str, list[Spec]] = {}
    for hook, (kind, _, wanted, _) in HOOKS.items():
        if hook not in hooks:
            continue
        register, returned = _Register(hook, wanted), None
        try:
            returned = getattr(manager.hook, hook)(register=register)
        except Exception as error:
            if not register.problem:
                raise PluginError(f"its hook {hook} raises {type(error).__name__}: {error}") from error
        if register.problem:
            raise PluginError(f"its hook {hook}: {register.problem}")
        if returned:  # pluggy leaves None out
            raise PluginError(
                f"its hook {hook} returns a value, which nobody reads: let it call register({wanted.__name__}(...))"
            )
        if register.specs:
            specs[kind] = register.specs
    return hooks, specs


def _explain(error: Exception, module: Any) -> str:
    for name in dir(module):
        if (
            name.startswith("anchor_")
            and name not in HOOKS
            and hasattr(getattr(module, name), "anchor_hub_impl")
        ):
            return f"it implements {name}, which is no hook.{did_you_mean(name, HOOKS)}"
    return f"it does not fit the contract: {error}"


class _Register:
    """The callback that a hook gets. It remembers the first problem, even if the plugin swallows the exception."""

    def __init__(self, hook: str, wanted: type[Spec]) -> None:
        self.hook, self.wanted = hook, wanted
        self.specs: list[Spec] = []
        self.problem = ""

    def __call__(self, spec: Spec) -> None:
        try:
            if not isinstance(spec, self.wanted):
                raise UsageError(f"register() takes a {self.wanted.__name__}, got {type(spec).__name__}")
            spec.check()
            if any(other.key == spec.key for other in self.specs):
                raise UsageError(f"registers {spec.key!r} twice")
        except UsageError as error:
            self.problem = self.problem or str(error)
            raise
        self.specs.append(spec)


def reasons(plugins: Iterable[Plugin]) -> str:
    """A sentence about quarantined plugins, for messages about names not found; '' if there are none."""
    broken = [plugin.name for plugin in plugins if plugin.status != "ok"]
    return f" (Not loaded: {', '.join(broken)}; `anchor plugins` says why.)" if broken else ""
