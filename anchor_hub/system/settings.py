"""Options given as text, ``name=value``: what ``--set`` takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anchor_hub.errors import UsageError
from anchor_hub.system.config import load_yaml


def parse_settings(given: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Names and values of ``name=value`` texts; values stay text, but lists and tables (``[1, 2]``, ``{a: 1}``).

    :raises UsageError: a text without ``=``, or a name twice.
    """
    found: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"{option} {item!r}: write NAME=VALUE, e.g. {option} intensity=0.7")
        if name in found:
            raise UsageError(f"{option} {name}: is given twice")
        value = value.strip()
        table = value[:1] in ("[", "{")
        found[name] = load_yaml(f"value: {value}", where=f"{option} {name}")["value"] if table else value
    return found
