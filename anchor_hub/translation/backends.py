"""Chooses the backend, and its trained translator, for a translation between two names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anchor_hub.bundles.base import Bundle, open_bundle
from anchor_hub.domains.loading import domain_bundle
from anchor_hub.errors import AnchorError, TranslatorNotFoundError, UsageError, did_you_mean
from anchor_hub.plugins.finding import bundle_folder
from anchor_hub.plugins.registry import registry
from anchor_hub.plugins.usable import require_usable
from anchor_hub.translation.base import OWN, RANDOM, REFERENCE, Translator

ANCHOR = "anchor"
#: What a source is called that the user did not name.
ANY = "input"


@dataclass(frozen=True)
class Way:
    """How to get from one name to another. ``bundle``: the trained translator; None if the backend has none."""

    backend: str
    kind: type[Translator[Any]]
    bundle: Bundle | None = None


def find_way(source: str, target: str, *, backend: str | None = None, translator: str | None = None) -> Way:
    """The backend that translates from ``source`` to ``target``, and the trained translator that it opens.

    Without ``backend`` and ``translator``: ``anchor`` where both are domains of one hub, else the installed translator
    that serves the pair. Either name may be left out (``""``) where a trained translator is meant: the source if it
    takes any of its own names, the target if all of its targets are wanted.

    :param translator: a trained translator, by name or by its bundle's folder.
    :raises BackendNotFoundError, TranslatorNotFoundError: no such name, or none that serves the pair.
    :raises UsageError: several translators serve the pair; names them. Or the translator is of another backend.
    """
    if translator is not None:
        bundle = open_bundle(bundle_folder(translator, "translator"), "translator")
        own = backend_of(bundle)
        if backend not in (None, own):
            raise UsageError(f"--translator {translator} is of the backend {own!r}: leave --backend {backend} out")
        _require_way(bundle, source, target)
        return _way(own, bundle)
    if backend is not None:
        if not registry().backends[backend].spec.recipes:
            _require_names(source, target, backend)
            return _way(backend)
        return _only(source, target, [item for item in serving(source, target) if backend_of(item) == backend], backend)
    if source and target and _of_one_hub(source, target):
        return _way(ANCHOR)
    found = list(serving(source, target))
    if not found:
        _require_names(source, target, ANCHOR)
    # If no translator serves the pair, the anchor backend says best what is wrong with the two names.
    return _only(source, target, found, None) if found else _way(ANCHOR)


def describe_backend(name: str) -> dict[str, Any]:
    """What a backend is and takes, as plain JSON: ``name``, ``summary``, ``styles``, ``recipes``, ``options``.

    :raises BackendNotFoundError: nobody registered the name.
    """
    spec, kind = registry().backends[name].spec, _way(name).kind
    properties = kind.Options.model_json_schema().get("properties", {})
    options = [
        {
            "name": key,
            "type": _type_name(properties[key]),
            "default": field.get_default(call_default_factory=True),
            "help": field.description or "",
        }
        for key, field in kind.Options.model_fields.items()
    ]
    styles = sorted(kind.styles, key=(OWN, RANDOM, REFERENCE).index)
    return {
        "name": name, "summary": spec.summary, "styles": styles, "recipes": list(spec.recipes), "options": options,
    }  # fmt: skip


def _type_name(schema: dict[str, Any]) -> str:
    """The type of an option and its range, in words: ``number, 0 to 1``."""
    kinds = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    name = " or ".join(str(part.get("type", "any")) for part in kinds)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return name
    if high is None:
        return f"{name}, from {low}"
    return f"{name}, to {high}" if low is None else f"{name}, {low} to {high}"


def backend_of(bundle: Bundle) -> str:
    """The name of the backend that opens a translator's bundle."""
    return str(bundle.manifest.architecture.get("name", ""))


def ways(bundle: Bundle) -> list[tuple[str, str]]:
    """The ordered pairs ``(source, target)`` of a translator's bundle.

    A translator without a source of its own translates between any two of its targets.
    """
    targets = [str(target["name"]) for target in bundle.manifest.targets]
    if bundle.manifest.source is not None:
        return [(str(bundle.manifest.source["name"]), target) for target in targets]
    return [(source, target) for source in targets for target in targets if source != target]


def serving(source: str, target: str) -> Iterator[Bundle]:
    """The installed translators between two names; damaged ones are passed over. Reads manifests alone."""
    known = registry().translators
    for name in known:
        try:
            folder = known[name].bundle
            bundle = None if folder is None else open_bundle(folder, "translator")
        except AnchorError:  # `anchor translators list` names it
            continue
        if bundle is not None and serves(bundle, source, target):
            yield bundle


def serves(bundle: Bundle, source: str, target: str) -> bool:
    """Whether a translator translates between two names; a name that is left out (``""``) is any."""
    targets = [str(item["name"]) for item in bundle.manifest.targets]
    own = bundle.manifest.source
    takes = targets if own is None else [str(own["name"])]
    return (not target or target in targets) and (not source or source in takes)


def ends(way: Way, source: str, target: str) -> tuple[str, str]:
    """The names that a way is opened with, where some are left out: the source's own or "input", the first target."""
    if way.bundle is None:
        return source, target
    own, targets = way.bundle.manifest.source, way.bundle.manifest.targets
    return source or (str(own["name"]) if own is not None else ANY), target or str(targets[0]["name"])


def _require_names(source: str, target: str, backend: str) -> None:
    """:raises UsageError: a name is left out, though the backend translates between two that the user gives."""
    for option, name in (("--from", source), ("--to", target)):
        if not name:
            raise UsageError(f"{option} NAME is missing: the backend {backend!r} translates between two domains")


def _way(backend: str, bundle: Bundle | None = None) -> Way:
    if bundle is not None:
        require_usable(bundle)
    record = registry().backends[backend]
    kind = registry().load(record.spec.target, f"backend {backend!r} of {record.label}")
    if not (isinstance(kind, type) and issubclass(kind, Translator)):
        raise UsageError(f"backend {backend!r} of {record.label}: {record.spec.target} is no Translator")
    return Way(backend, kind, bundle)


def _only(source: str, target: str, found: list[Bundle], backend: str | None) -> Way:
    if len(found) == 1:
        return _way(backend_of(found[0]), found[0])
    of = "" if backend is None else f" of the backend {backend!r}"
    if found:
        names = ", ".join(bundle.manifest.name for bundle in found)
        raise UsageError(f"several translators{of} serve {source} -> {target}: {names}; choose with --translator NAME")
    raise TranslatorNotFoundError(
        f"no installed translator{of} serves {source} -> {target}; `anchor translators list` shows those there are"
    )


def _require_way(bundle: Bundle, source: str, target: str) -> None:
    if serves(bundle, source, target):
        return
    pairs = ways(bundle)
    own, targets = {first for first, _ in pairs}, {second for _, second in pairs}
    option, name, known = ("--to", target, targets) if source in own or not own else ("--from", source, own)
    raise TranslatorNotFoundError(
        f"{option} {name}: the translator {bundle.manifest.name!r} has no such name.{did_you_mean(name, known)}"
    )


def _of_one_hub(source: str, target: str) -> bool:
    """Whether both are trained domains of one hub."""
    try:
        first, second = (open_bundle(domain_bundle(name), "domain").manifest for name in (source, target))
    except AnchorError:
        return False
    return first.hub_fingerprint == second.hub_fingerprint


