"""`anchor benchmark`: translations of rendered faces against the truth."""

from __future__ import annotations

import typer

from anchor_cli.lazy import Entry, lazy_group

app = typer.Typer(
    cls=lazy_group(
        {
            "run": Entry("anchor_cli.benchmark_run:run", "Measure all ordered pairs of domains of rendered faces."),
            "table": Entry("anchor_cli.benchmark_run:table", "Print a measured benchmark as Markdown tables."),
            "samples": Entry("anchor_cli.benchmark_run:samples", "Render the benchmark's samples, for other programs."),
            "train-judges": Entry(
                "anchor_cli.benchmark_judges:train_judges", "Train the judges that read rendered faces."
            ),
        }
    ),
    no_args_is_help=True,
)


@app.callback()
def benchmark() -> None:
    """The benchmark of rendered faces: samples, judges, scores."""
