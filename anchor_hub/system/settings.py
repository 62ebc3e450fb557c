"""Options given as text, ``NAME=VALUE``: what ``--set`` and its relatives take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def merged_settings(own: Mapping[str, Any], texts: Iterable[str]) -> dict[str, Any]:
    """Options that have a flag of their own, where they are given, together with those of ``--set NAME=VALUE``.

    :param own: option -> value; None: not given. :raises UsageError: an option is given twice, or a text without ``=``.
    """
    options = {name: value for name, value in own.items() if value is not None}
    for name, value in parse_settings(texts).items():
        if name in options:
            raise UsageError(f"--set {name}: is also given as --{name.replace('_', '-')}; use one of them")
        options[name] = value
    return options
