"""`anchor evaluate compare`: prints runs side by side."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def compare(
    reports: list[Path] = typer.Argument(..., help="--report folders of evaluations.", show_default=False),
    strict: bool = typer.Option(
        False, "--strict", help="Refuse (exit 1) runs on different data or measured in different ways."
    ),
    as_json: options.AsJson = False,
) -> None:
    """Print runs side by side. Numbers measured in different ways get separate columns; numbers on different data get
    separate tables."""
    from anchor_cli.output import note, print_json, print_table, printable
    from anchor_hub.errors import DataError
    from anchor_hub.evaluation.comparing import compare as side_by_side
    from anchor_hub.evaluation.result import read_run

    tables = side_by_side([(str(path), read_run(path)) for path in reports])
    if strict and len(tables) > 1:
        raise DataError("the runs were measured on different data: drop --strict to see a table for each")
    notes = [line for table in tables for line in table.notes]
    if strict and notes:
        raise DataError(f"--strict: a metric was measured in different ways: {'; '.join(notes)}")
    if as_json:
        print_json({"tables": [table.as_dict() for table in tables]})
        return
    for number, table in enumerate(tables):
        if number:
            print()
        if len(tables) > 1:
            where = "no data" if table.data is None else f"{table.data.path} ({table.data.count} samples)"
            print(f"measured on {printable(where)}:")
        header = ("RUN", "TRANSLATION", *(column.title for column in table.columns))
        values = (
            (row.run, row.pair.name, *("" if metric is None else metric.shown_value() for metric in row.values))
            for row in table.rows
        )
        print_table(header, values)
    for line in notes:
        note(line)
    if len(tables) > 1:
        note("the runs were measured on different data: their numbers cannot be compared across the tables")
