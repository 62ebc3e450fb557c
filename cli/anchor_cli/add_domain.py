"""`anchor add-domain`: images of one domain become a domain of a hub."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options, training_options
from anchor_cli.training_options import Requires, Settings, named


def add_domain(
    name: str = typer.Argument(..., help="Name of a registered domain (anchor domains list) or of a new one."),
    data: str | None = typer.Option(
        None, help="Folder, zip archive or glob of the domain's images [default: the registered data set]."
    ),
    modality: str | None = typer.Option(
        None,
        help="What the images are: rgb, gray, segmentation, landmarks, or a plugin's modality "
        "[default: the registered domain's].",
    ),
    modality_set: list[str] = typer.Option(
        [], metavar="NAME=VALUE", help="Set an option of the modality, e.g. fit=crop; repeatable."
    ),
    classes: options.Classes = None,
    palette: options.Palette = None,
    merge_classes: options.MergeClasses = None,
    ignore_id: options.IgnoreId = None,
    span: options.Range = None,
    hub: str | None = typer.Option(
        None, help="Hub to anchor to [default: the registered domain's, or the bundled one]."
    ),
    hub_class: str | None = typer.Option(
        None, "--class", help="Class to fix in a class-conditional hub, by name or index (anchor hubs show HUB)."
    ),
    method: str | None = typer.Option(
        None, help="Recipe that trains the domain (anchor plugins lists recipes) [default: anchor]."
    ),
    set_: Settings = [],  # noqa: B006  (Typer reads it and copies)
    requires: Requires = [],  # noqa: B006
    objective: str | None = typer.Option(
        None, help="Training objective: aligned, or published (the paper's equation 5) [default: aligned]."
    ),
    encoder: str | None = typer.Option(
        None,
        help="Encoder: compact or psp [default: compact; with --objective published: psp]. With --regressor hub also "
        "none: the domain is then only a target, and nothing is trained.",
    ),
    regressor: str | None = typer.Option(
        None,
        help="Regressor: compact, a published one (shallow ... residual, attention), or hub, which decodes to the "
        "hub's "
        "own images [default: compact; with --objective published: the one published for the modality].",
    ),
    layers: str | None = typer.Option(
        None, help="Resolutions of the feature maps that the regressor reads, e.g. 16,32,64 [default: by hub size]."
    ),
    structure_layers: int | None = typer.Option(
        None, min=1, help="How many leading W+ layers the encoder sets [default: 60 %; published: all]."
    ),
    appearance: float | None = typer.Option(
        None,
        min=0,
        max=1,
        help="Probability (0-1) that a training image also gets a random appearance in the structure layers; see "
        "docs/anchoring.md#random-appearance [default: 0.2].",
    ),
    codes: int | None = typer.Option(
        None, min=1, help="How many structure layers get their own code; the others share the last [default: all]."
    ),
    weight: list[str] = typer.Option(
        [], help="Weight of a loss term, e.g. edges=0.5; repeatable [default: by modality]."
    ),
    optimizer: str | None = typer.Option(
        None, help="Optimizer of --objective published: ranger (as in its commands) or adam (as in the article) "
        "[default: ranger].",
    ),
    learning_rate: float | None = typer.Option(
        None, help="Learning rate [default: 0.001; with --objective published: 0.0001]."
    ),
    images: int | None = typer.Option(None, min=1, help="Images to train on in total [default: 20,000]."),
    count: int | None = typer.Option(
        None, min=1, help="How many images to render, if the domain's data set is rendered [default: 3,000]."
    ),
    start_from: str | None = typer.Option(
        None,
        help="Start from the weights of this domain (name or bundle folder), of the same or another hub "
        "[default: none].",
    ),
    max_minutes: training_options.MaxMinutes = None,
    batch: int | None = typer.Option(None, min=1, help="Images per step, all processes together [default: 16]."),
    seed: training_options.GivenSeed = 0,
    precision: training_options.Precision = "auto",
    device: options.Device = "auto",
    mirror: training_options.Mirror = None,
    where: training_options.Where = None,
    limit: training_options.ImagesLimit = None,
    skip_bad: options.SkipBad = False,
    resume: training_options.Resume = False,
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the domain if it exists, and (without --resume) its earlier run."
    ),
    run_dir: Path | None = typer.Option(
        None, help="Folder for checkpoints, logs and samples [default: runs/domain-NAME in the home]."
    ),
    output: training_options.DomainFolder = None,
    half: training_options.Half = False,
    license: training_options.License = None,
    data_license: training_options.ImagesLicense = None,
    workers: int = typer.Option(2, min=1, help="Number of threads or processes that read images."),
    processes: training_options.Processes = None,
    quiet: options.Quiet = False,
) -> None:
    """Train a domain on its own images alone and register it; it then translates from and to all domains of its hub."""
    from anchor_cli.output import note, step_progress
    from anchor_hub.system.settings import parse_settings
    from anchor_hub.training.anchoring.add_domain import add_domain as add
    from anchor_hub.training.anchoring.add_domain import modality_table, option_table, plan_domain

    plan = plan_domain(
        name,
        hub=hub,
        data=data,
        modality=modality_table(
            name, modality, classes=classes, palette=palette, merge_classes=merge_classes,
            ignore_id=ignore_id, span=span, settings=modality_set,
        ),
        method=method,
        requires=named(requires, "--requires", "KIND=NAME, e.g. prior=content-64"),
        options=parse_settings(set_)
        | option_table(
            objective=objective,
            encoder=encoder,
            regressor=regressor,
            layers=layers,
            structure_layers=structure_layers,
            appearance=appearance,
            codes=codes,
            weights=weight,
            optimizer=optimizer,
            learning_rate=learning_rate,
        ),
        images=images,
        count=count,
        max_minutes=max_minutes,
        batch=batch,
        seed=seed,
        mirror=mirror,
        where=where,
        limit=limit,
        hub_class=hub_class,
        start_from=start_from,
        half=half,
    )
    added = add(
        plan,
        device=device,
        precision=precision,
        run_dir=run_dir,
        output=output,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
        processes=processes,
        skip_bad=skip_bad,
        license=license,
        data_license=data_license,
        quiet=quiet,
        progress=lambda: step_progress("images of the domain", quiet=quiet),
    )
    for entry in added.skipped:
        note(f"skipped {entry}")
    if added.exit_code:
        again = " ".join(["--resume", *(["--overwrite"] if overwrite else [])])
        note(f"interrupted after {added.images:,} images; to go on, give the same command with {again}")
        raise typer.Exit(added.exit_code)
    if added.bundle is not None:  # None: another process of the run wrote it
        where_to = "written to" if output is not None else "registered at"
        how = f"{added.images:,} images in {added.minutes:.1f} minutes" if added.images else "a target only"
        typer.echo(f"{name}: {how}; {where_to} {added.bundle}")
