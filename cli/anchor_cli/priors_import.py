"""`anchor priors import`: makes a bundle of a published prior."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options, training_options


def import_(
    file: Path = typer.Argument(..., help="Published checkpoint."),
    name: str = typer.Option(..., "--name", help="Name of the new prior."),
    settings: options.ReaderSettings = [],  # noqa: B006  (Typer reads it and copies)
    license: options.ImportedLicense = None,
    data_license: options.ImportedDataLicense = None,
    output: training_options.PriorFolder = None,
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the prior of that name."),
    as_json: options.AsJson = False,
) -> None:
    """Import a published checkpoint as a prior. A plugin's reader reads it; no code in the file is run."""
    from anchor_cli.hubs_import import ask_license, report
    from anchor_hub.checkpoints.importing_translators import import_parts
    from anchor_hub.system.settings import parse_settings

    result = import_parts(
        "prior",
        file,
        name,
        options=parse_settings(settings),
        license=license if license is not None else ask_license(as_json),
        data_license=data_license,
        output=output,
        overwrite=overwrite,
    )
    report("prior", result, as_json)
