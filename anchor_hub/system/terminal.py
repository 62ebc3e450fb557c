"""What commands print beside their results: notes and progress on stderr, and text made safe for one line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


def printable(text: object) -> str:
    """`text` as one line: control characters (a newline in a file name, say) are escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def note(message: object) -> None:
    """Print one line on stderr."""
    print(printable(message), file=sys.stderr)


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
