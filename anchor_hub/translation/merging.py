"""Reads label maps of finer classes as those of a source with coarser classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.errors import UsageError
from anchor_hub.modality import Modality, build_modality
from anchor_hub.modality.merging import REST, load_merge_table
from anchor_hub.modality.palettes import PALETTES

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain


def merged(source: Domain, table: Path) -> Modality:
    """A modality that reads label maps of finer classes, which ``table`` (YAML) merges into the source's own.

    The finer classes are those of the source's palette, or of the known palette that has all the names in the
    table; a table of ids alone may merge maps of any classes.

    :raises UsageError: the source's files are no label maps, or the table makes another number of classes.
    :raises ConfigError: a table that is wrong in itself.
    """
    own = source.modality
    if not own.traits.classes:
        raise UsageError(f"--merge-classes merges label maps, but domain {source.name!r} is {own.name}")
    groups = load_merge_table(table)
    members = [member for group in groups.values() for member in group if member != REST]
    names = {member for member in members if isinstance(member, str)}
    ids = [member for member in members if isinstance(member, int)]
    options: dict[str, Any] = {"name": "segmentation", "merge": groups}
    palette = own.options().get("palette")
    if isinstance(palette, list) and names and names <= {str(entry.get("name")) for entry in palette}:
        options["palette"] = palette
    elif names:
        known = [name for name in ([palette] if isinstance(palette, str) else []) + list(PALETTES) if name in PALETTES]
        # Where none has all the names, the first one's error says which of them it lacks.
        options["palette"] = next((name for name in known if names <= set(PALETTES[name].names)), known[0])
    else:
        rest = any(REST in group for group in groups.values())
        options["classes"] = 256 if rest else max(ids, default=0) + 1
    if (ignore := own.options().get("ignore")) is not None:
        options["ignore"] = ignore
    reading = build_modality(options)
    if reading.input_channels != own.input_channels:
        raise UsageError(
            f"{table}: merges into {reading.input_channels} classes, but domain {source.name!r} takes "
            f"{own.input_channels}"
        )
    return reading
