"""Entry points of installed distributions, as `importlib.metadata` finds them, but without importing it.

That import (it brings a parser of e-mail) and its scan take as long as everything else `anchor --help` does. Only if
something is not installed as a folder beside the modules (zip archives, eggs, finders of other tools) is
`importlib.metadata` asked.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

_SUFFIXES = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """A line `name = value` of a distribution's entry points; `value` reads `module` or `module:attribute`."""

    name: str
    value: str
    distribution: str
    version: str

    def load(self) -> Any:
        """The module or attribute; raises what the import raises, or AttributeError."""
        module, _, attribute = self.value.partition("[")[0].partition(":")
        found: Any = importlib.import_module(module.strip())
        for part in attribute.strip().split(".") if attribute.strip() else ():
            found = getattr(found, part)
        return found


def entry_points(group: str) -> list[EntryPoint]:
    """The entry points of `group` of all distributions on sys.path; of two distributions of one name, of the first."""
    if any(finder is not PathFinder and hasattr(finder, "find_distributions") for finder in sys.meta_path):
        return _by_importlib(group)
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for root in (item for item in sys.path if isinstance(item, str)):
        if root.endswith(".egg") or os.path.isfile(root):
            return _by_importlib(group)
        try:
            names = os.listdir(root or ".")
        except OSError:
            continue
        for name in names:
            if not name.lower().endswith(_SUFFIXES):
                continue
            distribution = re.sub(r"[-_.]+", "_", name.rpartition(".")[0].partition("-")[0]).lower()
            if distribution not in seen:
                seen.add(distribution)
                found += _read(os.path.join(root, name), group)
    return found


def _read(folder: str, group: str) -> Iterator[EntryPoint]:
    """The entry points of one distribution; a malformed line gets an empty value, so that loading it fails."""
    text = _text(os.path.join(folder, "entry_points.txt"))
    if f"[{group}]" not in text:
        return
    name, _, version = os.path.basename(folder).rpartition(".")[0].partition("-")
    metadata = "PKG-INFO" if folder.lower().endswith(".egg-info") else "METADATA"
    for line in _text(os.path.join(folder, metadata)).splitlines():
        if not line.strip():
            break  # the description follows
        key, _, value = line.partition(":")
        if key.lower() == "name":
            name = value.strip()
        elif key.lower() == "version":
            version = value.strip()
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == group and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            yield EntryPoint(key.strip(), value.strip(), name, version)


def _text(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _by_importlib(group: str) -> list[EntryPoint]:
    import importlib.metadata

    found = []
    for entry in importlib.metadata.entry_points(group=group):
        name, version = (entry.dist.name, entry.dist.version) if entry.dist is not None else ("unknown", "unknown")
        found.append(EntryPoint(entry.name, entry.value, str(name), str(version)))
    return found
