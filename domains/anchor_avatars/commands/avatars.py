"""`anchor data avatars`: draws avatars of a style into a folder, with a table of their parts."""

from __future__ import annotations

from pathlib import Path

import typer


def avatars(
    style: str = typer.Argument(..., help="Style to draw: lorelei or notionists."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder to write pictures and manifest.csv to."),
    count: int = typer.Option(1000, min=1, help="Number of avatars."),
    size: int = typer.Option(64, min=16, max=512, help="Height and width in pixels."),
    seed: int = typer.Option(0, min=0, help="Seed of the avatars."),
    start: int = typer.Option(0, min=0, help="Number of the first avatar."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Show no progress."),
) -> None:
    """Draw avatars. Needs node and three npm packages; without them, the error says how to install them.

    Avatars that the folder already holds are not drawn again.
    """
    from anchor_avatars.dataset import draw_dataset
    from anchor_hub.system.terminal import step_progress

    with step_progress("avatars", quiet=quiet) as progress:
        folder = draw_dataset(output, style, count=count, size=size, seed=seed, start=start, progress=progress)
    typer.echo(f"{count:,} avatar{'' if count == 1 else 's'} in {folder}")
