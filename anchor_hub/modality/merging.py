"""Coarser label maps from finer ones: which classes become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anchor_hub.errors import ConfigError, did_you_mean

REST = "*"  # in a group: every class that no other group names


def load_merge_table(path: Path | str) -> dict[str, list[str | int]]:
    """The groups of a ``--merge-classes`` file: YAML, ``new class: [old class or id, ...]``, by new id.

    ``"*"`` in one list takes all that is left. :raises ConfigError: naming the file and what is wrong in it.
    """
    from anchor_hub.system.config import load_yaml

    table = load_yaml(Path(path))
    if not isinstance(table, dict) or not table:
        raise ConfigError(f"{path}: expected 'new class: [old classes]' lines, e.g. 'face: [skin, nose]'")
    groups: dict[str, list[str | int]] = {}
    for name, members in table.items():
        members = members if isinstance(members, list) else [members]
        if not isinstance(name, str) or not all(
            isinstance(m, (str, int)) and not isinstance(m, bool) for m in members
        ):
            raise ConfigError(f"{path}: class {name!r} must be a name with a list of class names or ids")
        groups[name] = list(members)
    return groups


def merge_lookup(groups: Mapping[str, Sequence[str | int]], names: Sequence[str]) -> list[int]:
    """For each old class id its new id. ``names`` are the old classes in order.

    :raises ConfigError: an unknown class, a class in two groups, or one in none.
    """
    position = {name: index for index, name in enumerate(names)}
    lookup: dict[int, int] = {}
    rest: int | None = None
    for new, (group, members) in enumerate(groups.items()):
        if not members:
            raise ConfigError(f"merged class {group!r}: names no class; add one, or leave the group out")
        for member in members:
            if member == REST:
                if rest is not None:
                    raise ConfigError(f"merged classes: '*' stands in two groups, the second is {group!r}")
                rest = new
                continue
            old = position.get(member, -1) if isinstance(member, str) else int(member)
            if not 0 <= old < len(names):
                raise ConfigError(
                    f"merged class {group!r}: there is no class {member!r}.{did_you_mean(str(member), names)}"
                )
            if old in lookup:
                raise ConfigError(
                    f"merged classes: {names[old]!r} stands in two groups, the second is {group!r}"
                )
            lookup[old] = new
    missing = [name for index, name in enumerate(names) if index not in lookup]
    if missing and rest is None:
        raise ConfigError(
            f"merged classes: {', '.join(missing)} are in no group; add them, or '*' for all that is left"
        )
    return [lookup.get(index, rest if rest is not None else 0) for index in range(len(names))]
