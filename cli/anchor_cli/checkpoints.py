"""`anchor checkpoints`: looks into published checkpoint files."""

from __future__ import annotations

import typer

from anchor_cli.lazy import Entry, lazy_group

app = typer.Typer(
    cls=lazy_group(
        {"inspect": Entry("anchor_cli.checkpoints_inspect:inspect", "Print what a checkpoint file holds.")}
    ),
    no_args_is_help=True,
)


@app.callback()
def checkpoints() -> None:
    """Look into published checkpoint files. No code in them is ever run."""
