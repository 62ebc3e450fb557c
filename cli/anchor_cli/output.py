"""What commands print: results on stdout (tables or JSON), everything else on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from anchor_hub.system.terminal import note as note
from anchor_hub.system.terminal import printable as printable
from anchor_hub.system.terminal import step_progress as step_progress


def print_json(value: Any) -> None:
    """Print `value` as indented JSON: keys in their order, paths as text."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns padded with spaces, for `cut`, `grep` and eyes; the last column is not padded."""
    lines = [tuple(header), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def size_text(count: int) -> str:
    """A number of bytes for people: '512 B', '3.4 MB'."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{count} B"
