"""`anchor hubs export-checkpoint`: writes a hub as a file that other programs read."""

from __future__ import annotations

from pathlib import Path

import typer


def export_checkpoint(
    name: str = typer.Argument(..., help="StyleGAN2 hub: a name or a bundle's folder."),
    output: Path = typer.Option(..., "--output", "-o", help="File to write, e.g. g.pt."),
    layout: str = typer.Option(
        "rosinality", help="rosinality (g_ema, latent_avg and the kept d), or state-dict (the generator alone)."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the file."),
) -> None:
    """Write a hub as a checkpoint that stylegan2-pytorch reads: anchor hubs export-checkpoint faces-64 -o g.pt"""
    from anchor_cli.output import size_text
    from anchor_hub.checkpoints.exporting import export_checkpoint as export

    parts = export(name, output, layout=layout, overwrite=overwrite)
    print(f"{output} ({size_text(output.stat().st_size)}): {', '.join(parts)}")
