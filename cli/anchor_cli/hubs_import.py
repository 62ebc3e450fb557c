"""`anchor hubs import`: makes a hub of a published checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from anchor_cli import options, training_options


def import_(
    file: Path = typer.Argument(..., help="Checkpoint file, or folder with config.json and weights."),
    name: str = typer.Option(..., "--name", help="Name of the new hub."),
    discriminator: Path | None = typer.Option(
        None, help="File with the discriminator, which the bundle then keeps [default: the one in FILE, if any]."
    ),
    license: options.ImportedLicense = None,
    data_license: options.ImportedDataLicense = None,
    seed: int = typer.Option(0, help="Seed of the 10,000 samples from which the hub's statistics are computed."),
    bn_eps: float | None = typer.Option(
        None, help="Epsilon of a BigGAN's batch norms [default: from the configuration beside FILE, else as published]."
    ),
    output: training_options.HubFolder = None,
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the hub of that name."),
    as_json: options.AsJson = False,
) -> None:
    """Import a published generator (StyleGAN2, StyleGAN2-ADA, BigGAN ...) as a hub. No code in the file is run."""
    from anchor_hub.bundles.base import open_bundle
    from anchor_hub.checkpoints.importing import import_hub
    from anchor_hub.hubs.classes import read_classes

    result = import_hub(
        file,
        name,
        discriminator=discriminator,
        license=license if license is not None else ask_license(as_json),
        data_license=data_license,
        seed=seed,
        norm_epsilon=bn_eps,
        output=output,
        overwrite=overwrite,
    )
    report("hub", result, as_json)
    if not as_json:
        hub = result.name if output is None else str(output)
        print(f"look at it: anchor hubs sample {hub} --grid {Path(hub).name}.png")
        fixed = " --class CLASS" if read_classes(open_bundle(result.folder)) else ""
        print(f"add a domain: anchor add-domain NAME --hub {hub}{fixed} --data FOLDER --modality rgb")


def ask_license(quiet: bool) -> str | None:
    """The licence that the user types in; None without a terminal or an answer."""
    if quiet or not sys.stdin.isatty() or not sys.stderr.isatty():
        return None
    answer: str = typer.prompt("Licence of the weights (Enter: unknown)", default="", show_default=False, err=True)
    return answer.strip() or None


def report(kind: str, result: object, as_json: bool) -> None:
    """Print what was imported on stdout, and notes about it on stderr."""
    from anchor_cli.output import note, print_json
    from anchor_hub.checkpoints.importing import Imported

    assert isinstance(result, Imported)
    if as_json:
        print_json(vars(result))
        return
    print(f"imported {kind} {result.name} in {result.folder}")
    print(f"{result.summary}; licence: {result.license}")
    for line in result.notes:
        note(f"note: {line}")
    if result.license == "unknown":
        note("note: the licence is recorded as unknown; import again with --license TEXT --overwrite to state it")
