"""What plugins register: small frozen records of names, paths and import targets. No torch, no file is opened.

A target is `"module:attribute"` (a checkpoint reader's may be a `"module"`), imported when it is first used. Names are
lower-case ASCII, so that they are safe as file names on every system and never look like one another.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from anchor_hub.errors import UsageError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
# Windows opens devices, not files, under these names, whatever the suffix.
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)),
}
MAX_SUMMARY = 500


def check_name(name: object, what: str = "name") -> str:
    """`name`, if it is usable as a hub's, domain's or plugin's name; raises UsageError saying the rule otherwise.
    """
    if not isinstance(name, str):
        raise UsageError(f"{what} must be text, not {type(name).__name__}")
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    if len(name) > 64 or not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"{what} {ascii(shown)} is not usable: take 1 to 64 lower-case letters (a-z), digits, '-', "
            "'_' or '.', "
            "beginning and ending with a letter or digit"
        )
    if name.split(".")[0] in _DEVICES:
        raise UsageError(f"{what} {name!r} is a device name on Windows: take another")
    return name


def check_target(target: object, what: str = "target", *, module: bool = False) -> str:
    """`target`, if it reads `package.module:attribute`; raises UsageError otherwise. module: a module alone will do."""
    if not isinstance(target, str) or not (_TARGET.fullmatch(target) or (module and _MODULE.fullmatch(target))):
        or_module = " or 'package.module'" if module else ""
        raise UsageError(f"{what} must read 'package.module:attribute'{or_module}, got {ascii(target)[:80]}")
    return target


def import_target(target: str) -> Any:
    """Import `"module:attribute"` or `"module"`; raises what the import raises, or AttributeError."""
    module, _, attribute = check_target(target, module=True).partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        found = getattr(found, part)
    return found


@dataclass(frozen=True)
class Spec:
    """What every record has: a unique name and a summary of one line."""

    name: str
    summary: str = field(default="", kw_only=True)

    @property
    def key(self) -> str:
        """The name under which the registry finds the record."""
        return self.name

    def check(self) -> None:
        """Raise UsageError where a field has the wrong type or form."""
        check_name(self.name, f"{type(self).__name__} name")
        for item in fields(self):
            value = getattr(self, item.name)
            where = f"{type(self).__name__} {self.name!r}: {item.name}"
            if item.name == "target":
                check_target(value, where, module=isinstance(self, CheckpointSpec))
            elif item.name in _MAPPINGS:
                if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
                    raise UsageError(f"{where} must be a dict with text keys, got {type(value).__name__}")
            elif item.name in _TUPLES:
                if not isinstance(value, tuple) or not all(isinstance(entry, str) for entry in value):
                    raise UsageError(f"{where} must be a tuple of texts, got {type(value).__name__}")
            elif item.name in _OPTIONAL:
                if value is not None and not isinstance(value, str):
                    raise UsageError(f"{where} must be text or None, got {type(value).__name__}")
            elif not isinstance(value, str):
                raise UsageError(f"{where} must be text, got {type(value).__name__}")
        if len(self.summary) > MAX_SUMMARY or not self.summary.isprintable():
            raise UsageError(
                f"{type(self).__name__} {self.name!r}: summary must be one line of at most "
                f"{MAX_SUMMARY} characters"
            )


_OPTIONAL = {"bundle", "dataset", "samples"}
_MAPPINGS = {"modality", "training", "data", "license"}
_TUPLES = {"targets", "recipes"}


@dataclass(frozen=True)
class TargetSpec(Spec):
    """What has a target and nothing else; made a dataclass once, as every one made costs the command line's start."""

    target: str = ""


@dataclass(frozen=True)
class HubSpec(Spec):
    """A hub. `bundle`: folder of its bundle (absolute path), or None where it still has to be trained."""

    bundle: str | None = None


@dataclass(frozen=True)
class DomainSpec(Spec):
    """A domain of one hub.

    hub: name of the hub. modality: `{"name": ..., options}`. bundle: folder of the trained bundle; None (or a
    folder that does not exist) lists the domain as one that can be added. dataset: `"<dataset>:<argument>"`,
    what `anchor add-domain` trains on. training: recipe options. samples: folder of example inputs.
    """

    hub: str = ""
    modality: Mapping[str, Any] = field(default_factory=dict)
    bundle: str | None = None
    dataset: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    samples: str | None = None

    def check(self) -> None:
        super().check()
        check_name(self.hub, f"DomainSpec {self.name!r}: hub")
        if not isinstance(self.modality.get("name"), str):
            raise UsageError(f"DomainSpec {self.name!r}: modality needs a 'name', e.g. {{'name': 'rgb'}}")
        check_name(self.modality["name"], f"DomainSpec {self.name!r}: modality name")


class ModalitySpec(TargetSpec):
    """A modality; `target` is a class deriving from `anchor_hub.modality.Modality`."""


@dataclass(frozen=True)
class BackendSpec(Spec):
    """A translator backend; `target` is a class deriving from `anchor_hub.translation.Translator`.

    recipes: the recipes that make its bundles, in the order of their stages. Empty for a backend that trains nothing,
    such as one that translates between any two domains of a hub.
    """

    target: str = ""
    recipes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TranslatorSpec(Spec):
    """A trained translator, or one that can be trained.

    backend: name of the backend that opens it. source, targets: the names it translates from and to. bundle: folder of
    the trained bundle; None lists it as one that `anchor translators train NAME` trains. data: `{"source":
    "<dataset>:<argument>", ...}`, what it trains on. training: recipe options.
    """

    backend: str = ""
    source: str = ""
    targets: tuple[str, ...] = ()
    bundle: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PriorSpec(Spec):
    """A network that translators build on. `recipe` trains it; `bundle`, `data` and `training` as for translators."""

    recipe: str = ""
    bundle: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURE_KINDS = ("hub", "domain", "prior")


@dataclass(frozen=True)
class ArchitectureSpec(Spec):
    """What a bundle's `architecture.name` stands for; `target` is the class that loads such bundles.

    kind: "hub" (a class deriving from `anchor_hub.Hub`), "domain" (from `anchor_hub.Domain`), or "prior" (any class
    with `load(bundle, device)`). A translator's bundle is opened by its backend.
    """

    target: str = ""
    kind: str = "domain"

    def check(self) -> None:
        super().check()
        if self.kind not in ARCHITECTURE_KINDS:
            raise UsageError(
                f"ArchitectureSpec {self.name!r}: kind must be one of {', '.join(ARCHITECTURE_KINDS)}, "
                f"got {self.kind!r}"
            )


class CheckpointSpec(TargetSpec):
    """A reader of published checkpoints; `target` is an `anchor_hub.checkpoints.base.CheckpointReader`.

    The target names a module, `"package.module"`, or an object in a module, `"package.module:object"`.
    """


class InverterSpec(TargetSpec):
    """A way from pictures to latents; `target` is a class deriving from `anchor_hub.inversion.Inverter`."""


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """A data set; `target(argument, *, size, count, seed, home, progress)` returns the folder its files lie in.

    license: who made the data and what it may be used for, `{"data": "CC-BY-4.0, the authors"}`; bundles trained on it
    record it.
    """

    target: str = ""
    license: Mapping[str, str] = field(default_factory=dict)


RECIPE_KINDS = ("hub", "domain", "translator", "prior", "judges")


@dataclass(frozen=True)
class RecipeSpec(Spec):
    """A training recipe; `target` is a class deriving from `anchor_hub.training.Recipe`.

    kind: the kind of bundle that the recipe writes.
    """

    target: str = ""
    kind: str = "domain"

    def check(self) -> None:
        super().check()
        if self.kind not in RECIPE_KINDS:
            raise UsageError(
                f"RecipeSpec {self.name!r}: kind must be one of {', '.join(RECIPE_KINDS)}, got {self.kind!r}"
            )


class ExtractorSpec(TargetSpec):
    """Features of pictures for `anchor evaluate --extractor NAME`; `target(device)` returns a callable.

    The callable maps uint8 [B, 3, H, W] to float32 [B, D] on the CPU. It has the text attributes `name`, `sha256` (of
    its weights), `resize` and `preprocessing`, and optionally `short`, for the names of metrics (`fd_<short>`).
    """


class BenchmarkSpec(TargetSpec):
    """A benchmark for `anchor evaluate --benchmark NAME`.

    `target(source, to, *, report, count, seed, batch, workers, device, resume, progress)` measures the translation
    between two domains given by name (None: between all), may write pictures below the folder `report`, and returns an
    `anchor_hub.evaluation.result.RunResult`. A benchmark that can measure every backend also takes `backend`,
    `translator` and `options`, as `anchor_hub.translation.request.TranslationRequest` has them; they are passed where
    the user gives them.
    """


@dataclass(frozen=True)
class CommandSpec(Spec):
    """A command `anchor NAME`; `target` is a Typer app or a plain function; `help` is its line in `anchor --help`.

    group: a built-in group that gets the command: with "data" it is `anchor data NAME`.
    """

    target: str = ""
    help: str = ""
    group: str = ""

    @property
    def key(self) -> str:
        """The words after `anchor`, e.g. `data check`; two groups may have commands of the same name."""
        return f"{self.group} {self.name}".strip()

    def check(self) -> None:
        super().check()
        if self.group:
            check_name(self.group, f"CommandSpec {self.name!r}: group")
