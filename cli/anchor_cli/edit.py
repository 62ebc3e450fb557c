"""`anchor edit`: moves the latents of pictures along semantic directions of their hub."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def edit(
    inputs: list[str] = typer.Argument(
        None, help="Images of the source domain: files, folders or globs; or files of latents that anchor "
        "invert wrote.", show_default=False,
    ),
    source: options.EditedSource = None,
    target: str | None = typer.Option(
        None, "--to", help="Domain to decode with [default: the source itself; with --list the hub's own pictures]."
    ),
    direction: int | None = typer.Option(
        None, min=0, help="Number of the direction, from 0, the strongest first; --list shows them."
    ),
    strength: str = typer.Option(
        "-3..3", help="How far to go, in standard deviations of the hub's latents along the direction: one number, or "
        "a range; 0 is the translation itself."
    ),
    steps: int = typer.Option(7, min=1, help="Outputs for each input, over the range of --strength."),
    layers: str | None = typer.Option(None, help="W+ layers that move, e.g. 0-3 [default: all]."),
    factor: Path | None = typer.Option(
        None, help="Published factor file whose directions to take [default: those of the hub's own weights]."
    ),
    output: options.Outputs = None,
    grid: Path | None = typer.Option(
        None, help="Write a contact sheet (PNG): a row for each input (with --list: direction), a column for each "
        "strength."
    ),
    list_: bool = typer.Option(False, "--list", help="List the hub's directions, and show them with --grid."),
    hub: str | None = typer.Option(
        None, help="Of --list: the hub [default: that of --from or --to]; of latents: whose they are [default: the "
        "hub that the file names]."
    ),
    count: int = typer.Option(10, min=1, help="Of --list: number of directions."),
    seed: int | None = typer.Option(
        None, help="Seed of a random style for the outputs; of --list: of the picture shown [default: none; 0]."
    ),
    invert: options.FindLatents = 0,
    settings: options.AnchorSettings = [],  # noqa: B006
    batch: options.ImagesAtOnce = 16,
    device: options.Device = "auto",
    skip_bad: options.SkipBad = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Move the latents of pictures along a semantic direction of their hub, and decode an output for each strength."""
    from anchor_cli.output import note, print_json, print_table, step_progress
    from anchor_hub.editing.command_line import edit_of, listing_of

    if list_:
        listing = listing_of(
            hub, source, target, inputs=inputs or [], count=count, strength=strength, steps=steps, layers=layers,
            factor=factor, grid=grid, seed=seed, device=device,
        )  # fmt: skip
        if as_json:
            print_json({"directions": listing, "grid": str(grid) if grid else None})
        else:
            columns = ("number", "deviation", "singular value")
            rows = [[row[column] for column in columns] for row in listing]
            print_table([column.upper() for column in columns], rows)
    else:
        with step_progress("images", quiet=quiet or as_json) as progress:
            results = edit_of(
                inputs or [], source, target, direction, strength=strength, steps=steps, layers=layers, factor=factor,
                hub=hub, output=output, grid=grid, seed=seed, invert=invert, settings=settings, batch=batch,
                skip_bad=skip_bad, device=device, progress=progress,
            )  # fmt: skip
        for result in results:
            if result.error:
                note(f"skipped: {result.error}")
        if as_json:
            print_json({"results": [result.to_dict() for result in results], "grid": str(grid) if grid else None})
        elif output is not None:
            written = sum(len(result.outputs) for result in results)
            note(f"{written} file{'s' if written != 1 else ''} written to {output}")
    if grid is not None and not as_json:
        note(f"contact sheet: {grid}")
