"""`anchor domains import`: makes a domain of a released encoder and regressor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from anchor_cli import options, training_options


def import_(
    file: Path = typer.Argument(..., help="Checkpoint released with latent-space anchoring (.pt)."),
    name: str = typer.Option(..., "--name", help="Name of the new domain."),
    hub: str = typer.Option(
        ..., "--hub", help="Hub that equals the file's frozen generator: a name or a bundle folder."
    ),
    modality: str | None = typer.Option(
        None, help="rgb, gray, segmentation or landmarks [default by channels: 3 rgb, 1 gray, others segmentation]."
    ),
    palette: str | None = typer.Option(None, help="Palette of label maps [default: celebamask-hq for 19 classes]."),
    license: options.ImportedLicense = None,
    data_license: options.ImportedDataLicense = None,
    output: training_options.DomainFolder = None,
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the domain of that name."),
    as_json: options.AsJson = False,
) -> None:
    """Import a released encoder and regressor as a domain of an installed hub. No code in the file is run."""
    from anchor_cli.hubs_import import ask_license, report
    from anchor_hub.checkpoints.importing_domains import import_domain
    from anchor_hub.modality.options import modality_table

    table: dict[str, Any] | None = {"name": modality} if modality else None
    if palette:
        table = modality_table({"name": modality or "segmentation"}, palette=palette)
    result = import_domain(
        file,
        name,
        hub,
        modality=table,
        license=license if license is not None else ask_license(as_json),
        data_license=data_license,
        output=output,
        overwrite=overwrite,
    )
    report("domain", result, as_json)
