"""`anchor hubs sample`: pictures of a hub's random latents."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def sample(
    name: str = typer.Argument(..., help="Hub: a name or a bundle's folder."),
    count: int = typer.Option(16, "--count", "-n", min=1, help="Number of pictures."),
    grid: Path | None = typer.Option(None, help="Contact sheet (PNG) of all pictures, at most 256."),
    output: Path | None = typer.Option(None, "--output", "-o", help="New folder for the pictures themselves."),
    hub_class: str | None = typer.Option(
        None, "--class", help="Class of a class-conditional hub, by name or index [default: its classes in turn]."
    ),
    truncation: options.LatentTruncation = 1.0,
    seed: options.LatentSeed = 0,
    batch: int = typer.Option(16, min=1, help="Number of pictures computed at once."),
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Make pictures of random latents: anchor hubs sample faces-64 -n 16 --grid faces.png"""
    from anchor_cli.output import note, step_progress
    from anchor_hub.translation.sampling import sample_hub

    with step_progress("pictures", quiet=quiet) as progress:
        hub = sample_hub(
            name, count, grid=grid, output=output, hub_class=hub_class, truncation=truncation, seed=seed, batch=batch,
            device=device, progress=progress,
        )  # fmt: skip
    turns = f", of its {len(hub.classes)} classes in turn" if hub.classes and hub.class_index is None else ""
    note(f"{count:,} picture{'s' if count != 1 else ''} of hub {hub.name}{turns}")
    for what, path in (("contact sheet", grid), ("pictures", output)):
        if path is not None:
            note(f"{what}: {path}")
