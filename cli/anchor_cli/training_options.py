"""What the training commands share: the options that every recipe's run has, and what their texts mean."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from anchor_hub.errors import UsageError

Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        help="FOLDER (zip archive, glob, or DATASET:ARGUMENT of a registered data set); NAME=FOLDER for each where "
        "the recipe reads several; repeatable [default: the registered ones].",
    ),
]
Settings = Annotated[list[str], typer.Option("--set", help="An option of the recipe, NAME=VALUE; repeatable.")]
Requires = Annotated[
    list[str], typer.Option("--requires", help="A bundle that the recipe builds on, e.g. hub=faces-64; repeatable.")
]
ModalityNames = Annotated[
    list[str],
    typer.Option("--modality", help="NAME of every data set's modality, or DATA=NAME; repeatable [default: rgb]."),
]
ModalitySettings = Annotated[
    list[str],
    typer.Option("--modality-set", metavar="NAME=VALUE",
        help="An option of the modality; of one data set's: DATA:NAME=VALUE; repeatable.",),
]
Images = Annotated[int | None, typer.Option(min=1, help="Images to train on in total.")]
MaxMinutes = Annotated[float | None, typer.Option(min=0, help="Stop cleanly after this many minutes of training.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Images per step, over all data sets and processes.")]
Count = Annotated[int | None, typer.Option(min=1, help="Images to make or find in registered data sets.")]
Seed = Annotated[int | None, typer.Option(help="Fixes everything that is random [default: 0].")]
Mirror = Annotated[bool | None, typer.Option("--mirror/--no-mirror", help="Flip half of the images left to right.")]
Where = Annotated[
    str | None, typer.Option(help="Only images whose manifest columns fulfil this, e.g. 'smile>0.5'.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many images of each data set.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads that read images.")]
Processes = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that share the batch, one CPU thread each [default: one per core]."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the run folder.")]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace the bundle if it exists, and (without --resume) its earlier run."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be read, and name them.")]
License = Annotated[str | None, typer.Option(help="Licence of the weights [default: unknown].")]
DataLicense = Annotated[
    str | None, typer.Option(help="Licence of the data [default: the registered data set's, or unknown].")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def named(texts: Iterable[str], option: str, what: str) -> dict[str, str]:
    """``["hub=faces-64"]`` as a table. :raises UsageError: a text without a name, or a name given twice."""
    table: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise UsageError(f"{option} {text!r} must read {what}")
        if name in table:
            raise UsageError(f"{option}: {name!r} is given twice")
        table[name] = value
    return table


def maybe_named(texts: Iterable[str], option: str) -> dict[str, str]:
    """``["a/"]`` or ``["source=a/", "target=b/"]`` as a table; what has no name is called ``""``.

    A folder whose own path holds ``=`` is one without a name where it exists.
    """
    table: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier() or Path(text).exists():
            name, value = "", text
        if name in table:
            raise UsageError(f"{option}: {f'{name!r} is' if name else 'it is'} given twice")
        table[name] = value
    return table


def modality_settings(texts: Iterable[str]) -> dict[str, list[str]]:
    """``["period=4", "source:period=2"]`` by data set, as ``option=value``; those of every data set under ``""``."""
    tables: dict[str, list[str]] = {}
    for text in texts:
        key, _, _ = text.partition("=")
        data, colon, _ = key.partition(":")
        tables.setdefault(data if colon else "", []).append(text[len(data) + 1 :] if colon else text)
    return tables


def run_training(
    kind: str, name: str, *, data: list[str], set_: list[str], requires: list[str], modality: list[str],
    modality_set: list[str], images: int | None, max_minutes: float | None, batch: int | None, count: int | None,
    seed: int | None, mirror: bool | None, where: str | None, limit: int | None, quiet: bool, overwrite: bool,
    recipe: str | None = None, backend: str | None = None, source: str | None = None, targets: list[str] | None = None,
    **run: Any,
) -> None:  # fmt: skip
    """Train what a command was asked for and print where it is; exit with 130 or 143 where a signal ended it."""
    from anchor_cli.output import note, step_progress
    from anchor_hub.system.settings import parse_settings
    from anchor_hub.training import RunSettings, train
    from anchor_hub.training.planning import plan_training

    plan = plan_training(
        kind, name, recipe=recipe, backend=backend, source=source, targets=targets or (),
        data=maybe_named(data, "--data"), requires=named(requires, "--requires", "KIND=NAME, e.g. hub=faces-64"),
        options=parse_settings(set_), modalities=maybe_named(modality, "--modality"),
        modality_options=modality_settings(modality_set), images=images, max_minutes=max_minutes, batch=batch,
        count=count, seed=seed, mirror=mirror, where=where, limit=limit,
    )  # fmt: skip
    trained = train(
        plan,
        RunSettings(quiet=quiet, overwrite=overwrite, **run),
        progress=lambda which: step_progress(f"data set {which}", quiet=quiet),
    )
    for entry in trained.skipped:
        note(f"skipped {entry}")
    if trained.exit_code:
        again = " ".join(["--resume", *(["--overwrite"] if overwrite else [])])
        note(f"interrupted after {trained.run.images:,} images; to go on, give the same command with {again}")
        raise typer.Exit(trained.exit_code)
    if trained.bundle is not None:  # None: another process of the run wrote it
        how = f"{trained.run.images:,} images in {trained.run.minutes:.1f} minutes"
        where_to = "written to" if run.get("output") is not None else "registered at"
        typer.echo(f"{name}: {how}; {where_to} {trained.bundle}")
