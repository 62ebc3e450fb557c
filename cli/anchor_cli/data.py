"""`anchor data`: data sets."""

from __future__ import annotations

import typer

from anchor_cli.lazy import Entry, lazy_group

app = typer.Typer(
    cls=lazy_group(
        {
            "check": Entry("anchor_cli.data_check:check", "Check a folder of images before training on it."),
        }
    ),
    no_args_is_help=True,
)


@app.callback()
def data() -> None:
    """Make data sets, and check your own."""
