"""Options given as text, ``NAME=VALUE``: what ``--set`` and its relatives take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anchor_hub.errors import UsageError
from anchor_hub.system.config import load_yaml


def parse_settings(given: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Names and values of ``NAME=VALUE`` texts. Values are YAML: ``0.7``, ``6-9``, ``[1, 2]``, ``{a: 1}``.

    :raises UsageError: a text without ``=``, or a name twice. :raises ConfigError: a value that is no YAML.
    """
    found: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"{option} {item!r}: write NAME=VALUE, e.g. {option} width=8")
        if name in found:
            raise UsageError(f"{option} {item}: {name!r} is given twice; give it once")
        found[name] = load_yaml(f"value: {value.strip()}", where=f"{option} {name}")["value"]
    return found
