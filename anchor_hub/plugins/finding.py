"""Finds the bundle of a name: in the home, in a plugin, or in a folder given as a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anchor_hub.bundles.base import MANIFEST
from anchor_hub.errors import AnchorError
from anchor_hub.plugins.loading import HOOKS
from anchor_hub.plugins.names import Names
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DomainSpec

#: The command that trains a bundle of each kind.
_TRAIN = {"hub": "hubs train", "domain": "add-domain", "translator": "translators train", "prior": "priors train"}


def registered(kind: str) -> Names[Any]:
    """The registry's names of one kind of bundle: "hub", "domain", "translator" or "prior"."""
    found: Names[Any] = getattr(registry(), f"{kind}s")
    return found


def registered_domain(name: str) -> DomainSpec | None:
    """The domain registered under the name, or None; a bundle in the home that cannot be read counts as none."""
    try:
        found = registry().domains.get(name)
    except AnchorError:
        return None
    return found.spec if found is not None else None


def how_to_train(kind: str, name: str) -> str:
    """The command that trains a hub, domain, translator or prior of that name."""
    return f"anchor {_TRAIN[kind]} {name}"


def bundle_folder(name_or_path: str | Path, kind: str) -> Path:
    """The folder of a bundle, by registered name or by path; whether there is a bundle at a path is not checked.

    :raises NotFoundError: (the kind's own) neither a name nor a path, or a name without a bundle on this machine.
    """
    text = str(name_or_path)
    names = registered(kind)
    # A registered name wins over a folder of that name in the current directory.
    if isinstance(name_or_path, Path) or text not in names:
        if isinstance(name_or_path, Path) or "/" in text or "\\" in text or (Path(text) / MANIFEST).is_file():
            return Path(name_or_path)
    record = names[text]
    if record.bundle is not None:
        folder: Path = record.bundle
        return folder
    error = HOOKS[f"anchor_register_{kind}s"].not_found
    train = how_to_train(kind, text)
    if record.spec.bundle:
        raise error(
            f"{kind} {text!r} is registered by {record.label}, but its bundle {record.spec.bundle} is not "
            f"there; install it (anchor {kind}s install) or train it ({train})"
        )
    raise error(f"{kind} {text!r} is known, but not trained on this machine yet; train it: {train}")


def identity(folder: Path) -> tuple[str, int]:
    """A key for caches: a bundle folder's path and time of change, so that a replaced bundle is loaded again."""
    try:
        return str(folder.resolve()), (folder / MANIFEST).stat().st_mtime_ns
    except OSError:
        return str(folder), 0
