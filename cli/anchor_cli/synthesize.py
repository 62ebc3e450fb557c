"""`anchor synthesize`: aligned images of several domains from random latents."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def synthesize(
    domains: str = typer.Option(..., help="Domains of one hub, comma-separated, e.g. face,seg,sketch,landmark."),
    count: int = typer.Option(64, "--count", "-n", min=1, help="Number of latents."),
    output: Path = typer.Option(
        ..., "--output", "-o", help="New folder to write to: one folder per domain, with the same file names."
    ),
    truncation: options.LatentTruncation = 1.0,
    seed: options.LatentSeed = 0,
    grid: Path | None = typer.Option(
        None, help="Also write a contact sheet (PNG): a row per latent, a column per domain."
    ),
    batch: options.ImagesAtOnce = 16,
    device: options.Device = "auto",
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a data set that this command wrote."),
    as_json: bool = typer.Option(False, "--json", help="Print the data set's description as JSON."),
    quiet: options.Quiet = False,
) -> None:
    """Make an aligned data set: the images of several domains from the same random latents."""
    from anchor_cli.output import note, print_json, step_progress
    from anchor_hub.system.config import load_yaml
    from anchor_hub.translation.synthesis import synthesize_set

    names = [name.strip() for name in domains.split(",") if name.strip()]
    with step_progress("latents", quiet=quiet or as_json) as progress:
        folder = synthesize_set(
            names,
            count,
            output,
            seed=seed,
            truncation=truncation,
            batch=batch,
            grid=grid,
            device=device,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json({"folder": str(folder), **load_yaml(folder / "dataset.yaml")})
        return
    latents = "1 latent" if count == 1 else f"{count:,} latents"
    note(f"{latents} in {len(names)} domain{'s' if len(names) != 1 else ''} written to {folder}")
    if grid is not None:
        note(f"contact sheet: {grid}")
