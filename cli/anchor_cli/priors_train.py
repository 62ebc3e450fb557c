"""`anchor priors train`: trains a network that translators build on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchor_cli import training_options as options


def train_prior(
    name: Annotated[str, typer.Argument(help="Name of a registered prior (anchor priors list) or of a new one.")],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that trains the prior [default: the registered prior's].")
    ] = None,
    hub: options.RequiredHub = None,
    data: options.Data = [],  # noqa: B006  (Typer reads it and copies)
    set_: options.Settings = [],  # noqa: B006
    requires: options.Requires = [],  # noqa: B006
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
            help="Folder for checkpoints, logs and samples [default: runs/prior-NAME in the home]."
        )
    ] = None,
    output: options.PriorFolder = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    skip_bad: options.SkipBad = False,
    license: options.License = None,
    data_license: options.DataLicense = None,
    quiet: options.Quiet = False,
) -> None:
    """Train a prior with a registered recipe. Give an end: --images or --max-minutes."""
    options.run_training(
        "prior", name, recipe=recipe, data=data, set_=set_, requires=options.with_required(requires, hub=hub),
        modality=modality, modality_set=modality_set, images=images, max_minutes=max_minutes, batch=batch,
        count=count, seed=seed, mirror=mirror, where=where, limit=limit, device=device, precision=precision,
        workers=workers, processes=processes, run_dir=run_dir, output=output, resume=resume, overwrite=overwrite,
        skip_bad=skip_bad, license=license, data_license=data_license, quiet=quiet,
    )  # fmt: skip
