"""`anchor benchmark`: scores translations of rendered faces against the truth."""

from __future__ import annotations

import typer

from anchor_faces.commands.benchmark_run import run, samples, table
from anchor_faces.commands.judges import train_judges

app = typer.Typer(no_args_is_help=True)


@app.callback()
def benchmark() -> None:
    """The benchmark of rendered faces: samples, judges, scores."""


app.command("run")(run)
app.command("table")(table)
app.command("samples")(samples)
app.command("train-judges")(train_judges)
