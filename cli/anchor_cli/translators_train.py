"""`anchor translators train`: trains a translator on data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchor_cli import training_options as options


def train_translator(
    name: Annotated[
        str, typer.Argument(help="Name of a registered translator (anchor translators list) or of a new one.")
    ],
    backend: Annotated[
        str | None,
        typer.Option(help="Backend that opens the translator; its recipe trains it [default: the registered one's]."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that trains the translator [default: the backend's].")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Name of the images that the translator takes [default: the registered one's]."),
    ] = None,
    targets: Annotated[
        list[str],
        typer.Option(
            "--to", help="Name of the images that the translator makes; repeatable [default: the registered one's]."
        ),
    ] = [],  # noqa: B006  (Typer reads it and copies)
    prior: Annotated[
        str | None, typer.Option(help="Prior that the recipe builds on; the same as --requires prior=NAME.")
    ] = None,
    data: options.Data = [],  # noqa: B006
    set_: options.Settings = [],  # noqa: B006
    requires: options.Requires = [],  # noqa: B006
    hub: options.RequiredHub = None,
    modality: options.ModalityNames = [],  # noqa: B006
    modality_set: options.ModalitySettings = [],  # noqa: B006
    images: options.Images = None,
    max_minutes: options.MaxMinutes = None,
    batch: options.BatchSize = None,
    count: options.Count = None,
    seed: options.Seed = None,
    mirror: options.Mirror = None,
    where: options.Where = None,
    limit: options.Limit = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: options.Readers = 2,
    processes: options.Processes = None,
    run_dir: Annotated[
        Path | None, typer.Option(
            help="Folder for checkpoints, logs and samples [default: runs/translator-NAME in the home]."
        )
    ] = None,
    output: options.TranslatorFolder = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    skip_bad: options.SkipBad = False,
    license: options.License = None,
    data_license: options.DataLicense = None,
    quiet: options.Quiet = False,
) -> None:
    """Train a translator with a registered recipe. Give an end: --images or --max-minutes."""
    options.run_training(
        "translator", name, backend=backend, recipe=recipe, source=source, targets=targets, data=data, set_=set_,
        requires=options.with_required(requires, prior=prior, hub=hub), modality=modality, modality_set=modality_set,
        images=images, max_minutes=max_minutes,
        batch=batch, count=count, seed=seed, mirror=mirror, where=where, limit=limit, device=device,
        precision=precision, workers=workers, processes=processes, run_dir=run_dir, output=output, resume=resume,
        overwrite=overwrite, skip_bad=skip_bad, license=license, data_license=data_license, quiet=quiet,
    )  # fmt: skip
