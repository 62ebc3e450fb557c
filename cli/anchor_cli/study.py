"""`anchor study`: blind user studies."""

from __future__ import annotations

import typer

from anchor_cli.lazy import Entry, lazy_group

app = typer.Typer(
    cls=lazy_group(
        {
            "new": Entry("anchor_cli.study_commands:new", "Make a study from the results of several runs."),
            "serve": Entry("anchor_cli.study_commands:serve", "Serve a study's page to browsers."),
            "results": Entry("anchor_cli.study_commands:results", "Print shares of votes with confidence intervals."),
        }
    ),
    no_args_is_help=True,
)


@app.callback()
def study() -> None:
    """Blind user studies: which run makes the best picture?"""
