"""What commands print: results on stdout (tables or JSON), everything else on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


def printable(text: object) -> str:
    """`text` as one line: control characters (a newline in a file name, say) are escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def print_json(value: Any) -> None:
    """`value` as indented JSON; keys in their order, paths as text."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns padded with spaces, so that `cut`, `grep` and eyes can read them; the last column is not padded.
    """
    lines = [tuple(header), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def note(message: object) -> None:
    """One line on stderr."""
    print(printable(message), file=sys.stderr)


def size_text(count: int) -> str:
    """A number of bytes for people: '512 B', '3.4 MB'."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{count} B"


@contextlib.contextmanager
def step_progress(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr where that is a terminal; yields `update(done, total)`."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
