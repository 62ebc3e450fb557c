"""What the training commands share: the options of every recipe's run, and how their texts are parsed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from anchor_cli.options import Device as Device
from anchor_cli.options import Quiet as Quiet
from anchor_cli.options import Readers as Readers
from anchor_cli.options import SkipBad as SkipBad
from anchor_hub.errors import UsageError

Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        help="Data to train on: a folder, zip archive, glob, or DATASET:ARGUMENT of a registered data set. If the "
        "recipe reads several data sets, NAME=FOLDER for each; repeatable [default: the registered ones].",
    ),
]
Settings = Annotated[
    list[str],
    typer.Option("--set", metavar="NAME=VALUE", help="Set an option of the recipe; repeatable."),
]
Requires = Annotated[
    list[str], typer.Option("--requires", help="Bundle that the recipe builds on, e.g. hub=faces-64; repeatable.")
]
ModalityNames = Annotated[
    list[str],
    typer.Option(
        "--modality", help="Modality of all data sets, or DATA=NAME for one; repeatable [default: rgb]."
    ),
]
ModalitySettings = Annotated[
    list[str],
    typer.Option(
        "--modality-set",
        metavar="NAME=VALUE",
        help="Set an option of the modality; DATA:NAME=VALUE sets it for one data set; repeatable.",
    ),
]
Images = Annotated[int | None, typer.Option(min=1, help="Stop after training on this many images.")]
MaxMinutes = Annotated[
    float | None,
    typer.Option(min=0, help="Stop cleanly after this many minutes of training [default: no limit]."),
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Images per step, all data sets and processes together [default: the recipe's]."),
]
Count = Annotated[
    int | None,
    typer.Option(min=1, help="How many images registered data sets make or find [default: 3,000]."),
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything that is random [default: 0].")]
Mirror = Annotated[
    bool | None,
    typer.Option(
        "--mirror/--no-mirror", help="Mirror half of the images left to right [default: as registered, or off]."
    ),
]
Where = Annotated[
    str | None, typer.Option(help="Use only images whose manifest columns match this, e.g. 'smile>0.5' [default: all].")
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Use only this many images of each data set, the first ones [default: all]."),
]
Precision = Annotated[str, typer.Option(help="Precision to compute in: auto, fp32 or bf16.")]
Processes = Annotated[
    int | None,
    typer.Option(min=1, help="Number of processes that share a batch, one CPU thread each [default: one per core]."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in the run folder.")]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace the bundle if it exists, and (without --resume) its earlier run."),
]
License = Annotated[str | None, typer.Option(help="Licence of the weights [default: unknown].")]
DataLicense = Annotated[
    str | None, typer.Option(help="Licence of the data [default: the registered data set's, or unknown].")
]
RequiredHub = Annotated[
    str | None, typer.Option("--hub", help="Hub that the recipe builds on; the same as --requires hub=NAME.")
]
# Where the bundle of each kind goes.
HubFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder to write the bundle to [default: hubs/NAME in the home]."),
]
DomainFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder to write the bundle to [default: domains/NAME in the home]."),
]
TranslatorFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder to write the bundle to [default: translators/NAME in the home]."),
]
PriorFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder to write the bundle to [default: priors/NAME in the home]."),
]
GivenSeed = Annotated[int, typer.Option(help="Seed of everything that is random.")]
ImagesLimit = Annotated[
    int | None, typer.Option(min=1, help="Use only this many images, the first ones [default: all].")
]
Half = Annotated[bool, typer.Option("--half", help="Store the weights in half precision, at half the size.")]
ImagesLicense = Annotated[
    str | None, typer.Option(help="Licence of the images [default: unknown, or the rendered data set's].")
]


def named(texts: Iterable[str], option: str, what: str) -> dict[str, str]:
    """The table of ``["hub=faces-64"]``. :raises UsageError: a text without a name, or a name given twice."""
    table: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise UsageError(f"{option} {text!r} must read {what}")
        if name in table:
            raise UsageError(f"{option}: {name!r} is given twice")
        table[name] = value
    return table


def with_required(requires: list[str], **named: str | None) -> list[str]:
    """The texts of ``--requires`` with those of bundles that have an option of their own, where it is given."""
    return [*requires, *(f"{kind}={name}" for kind, name in named.items() if name is not None)]


def maybe_named(texts: Iterable[str], option: str) -> dict[str, str]:
    """The table of ``["a/"]`` or ``["source=a/", "target=b/"]``; the key of a text without a name is ``""``.

    A text with ``=`` that is an existing path counts as one without a name.
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
    """Train what the options describe and print where the bundle is. Exit with 130 or 143 if a signal ended it."""
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
