"""`anchor checkpoints`: looking into checkpoint files of others."""

from __future__ import annotations

import typer

from anchor_cli.lazy import Entry, lazy_group

app = typer.Typer(
    cls=lazy_group(
        {"inspect": Entry("anchor_cli.checkpoints_inspect:inspect", "Print what is in a checkpoint, whatever it is.")}
    ),
    no_args_is_help=True,
)


@app.callback()
def checkpoints() -> None:
    """Checkpoint files of others: what is in them. No code in them is ever run."""
