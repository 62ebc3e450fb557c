"""`anchor checkpoints inspect`: what a checkpoint file holds; no code in it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

#: Rows of the table without --all.
SHOWN = 40


def inspect(
    file: Path = typer.Argument(..., help="File of any kind, or folder with config.json and weights."),
    everything: bool = typer.Option(False, "--all", help="List every tensor and value instead of groups."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with every tensor and value."),
) -> None:
    """Print what a checkpoint is, which family it belongs to, and a table of what it holds.

    Exit 1 if it cannot be imported: it is damaged, of no supported family, or a program instead of weights.
    """
    from anchor_cli.output import note, print_json, print_table, printable, size_text
    from anchor_hub.checkpoints.inspecting import inspect_checkpoint

    found = inspect_checkpoint(file)
    if as_json:
        print_json(found.as_dict())
    else:
        print(f"{printable(found.path)}: {found.container}, {size_text(found.bytes)}")
        print(f"sha256 {found.sha256}")
        print(f"family {found.family or 'none that is supported'}" + (f": {found.summary}" if found.summary else ""))
        rows: list[Any] = found.entries if everything else found.groups()
        header, cells = _table(rows)
        print_table(header, cells if everything else cells[:SHOWN])
        if not everything and len(cells) > SHOWN:
            print(f"... and {len(cells) - SHOWN} more (--all, --json)")
        for line in found.notes:
            note(f"note: {line}")
        for problem in found.problems:
            note(f"error: {problem}")
    if found.problems:
        raise typer.Exit(1)


def _table(rows: list[Any]) -> tuple[list[str], list[list[object]]]:
    header = ["ENTRY", "KIND", "SHAPE", "VALUE"] if rows and rows[0].count == 0 else ["ENTRY", "KIND", "SIZE", "HOLDS"]
    return header, [[row.name, row.kind, row.shape, row.value] for row in rows]
