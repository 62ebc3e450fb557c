"""The registered readers of published checkpoints, and which of them a file belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from anchor_hub.checkpoints.base import READER_KINDS, CheckpointReader
from anchor_hub.checkpoints.base import ImportedHub as ImportedHub
from anchor_hub.checkpoints.raw import RawCheckpoint, Record, walk
from anchor_hub.errors import PluginError
from anchor_hub.plugins.registry import registry


def families(kind: str | None = "hub", problems: list[str] | None = None) -> Iterator[Any]:
    """The readers of one KIND (None: of all) in the order in which they are asked, this project's first.

    A reader is imported when its turn comes. problems: gets a sentence for each reader that cannot be used; without
    this list, such a reader raises PluginError.
    """
    known = registry().checkpoints
    for name in known.in_order():
        try:
            record = known[name]
            what = f"the checkpoint reader {name!r} of {record.label}"
            reader = registry().load(record.spec.target, what)
            lacking = [item for item in ("NAME", "LAYOUT", "KIND", "matches", "read") if not hasattr(reader, item)]
            if lacking or reader.KIND not in READER_KINDS:
                wrong = f"lacks {', '.join(lacking)}" if lacking else f"has the KIND {str(reader.KIND)[:40]!r}"
                raise PluginError(f"{what}: {record.spec.target} {wrong}; see docs/plugins.md")
        except PluginError as error:
            if problems is None:
                raise
            problems.append(str(error))
            continue
        if kind is None or reader.KIND == kind:
            yield reader


def matches(reader: CheckpointReader, raw: RawCheckpoint, problems: list[str]) -> bool:
    """Whether the file is of that reader's family; if the reader raises, no, and `problems` gets a sentence."""
    try:
        return bool(reader.matches(raw))
    except Exception as error:
        problems.append(f"the checkpoint reader {reader.NAME!r} fails: {type(error).__name__}: {str(error)[:100]}")
        return False


def family_of(raw: RawCheckpoint, kind: str = "hub") -> Any:
    """The reader of that KIND for a file. :raises CheckpointError: none; says what was found and what is supported."""
    known: list[str] = []
    problems: list[str] = []
    for reader in families(kind, problems):
        if matches(reader, raw, problems):
            return reader
        known.append(f"{reader.NAME}: {reader.LAYOUT}")
    supported = f"Supported: {'; '.join(known)}" if known else f"No reader of {kind}s is installed"
    broken = f" (Not asked: {'; '.join(problems)})" if problems else ""
    raise raw.error(f"is of no supported layout: {describe(raw.content)}. {supported}{broken}")


def _entry(name: str, value: Any) -> str:
    """A name and, of a table, the first two names in it."""
    shown = ascii(name)[1:-1][:60]
    if not isinstance(value, dict) or not value:
        return shown
    return f"{shown} (of {', '.join(ascii(str(inner))[1:-1][:40] for inner in list(value)[:2])} ...)"


def describe(content: Any, limit: int = 6) -> str:
    """A line about what a file holds: the names of its entries, or its kind."""
    if isinstance(content, Record):
        return f"it is an object of class {ascii(content.class_name)[:60]}"
    if not isinstance(content, dict):
        return f"it holds a {type(content).__name__}"
    names = [_entry(str(name), value) for name, value in content.items()]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    tensors = sum(isinstance(value, Tensor) for _, value in walk(content))
    return f"it holds {', '.join(names[:limit]) or 'nothing'}{more} ({tensors} tensors in all)"
