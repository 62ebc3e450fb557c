"""`anchor data check`: looks over a folder before training on it."""

from __future__ import annotations

from pathlib import Path

import typer

SHOWN = 20


def check(
    data: list[str] = typer.Argument(..., help="Folder or zip archive in a known layout, glob or files."),
    domain: str | None = typer.Option(None, help="Read as this registered domain's files."),
    modality: str | None = typer.Option(
        None, help="How to read them otherwise: rgb, gray, segmentation, landmarks [default: rgb]."
    ),
    classes: int | None = typer.Option(None, min=2, help="Number of classes of label maps."),
    palette: str | None = typer.Option(None, help="Palette of label maps, e.g. celebamask-hq."),
    merge_classes: Path | None = typer.Option(None, help="YAML file that merges classes as they are read."),
    modality_set: list[str] | None = typer.Option(
        None, help="An option of the modality as OPTION=VALUE, e.g. points=5; may be repeated."
    ),
    size: int = typer.Option(64, min=4, help="Height and width in pixels to read them at."),
    where: str | None = typer.Option(None, help="Only files whose manifest columns fulfil this, e.g. 'smile>0.5'."),
    limit: int | None = typer.Option(None, min=1, help="Only the first so many files."),
    workers: int = typer.Option(2, min=1, help="Threads that read."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with every bad file."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
) -> None:
    """Say which layout a data set has and what is in it; read every file of every split as training would, and name
    those that cannot be read (exit 1) and what looks unintended."""
    from anchor_cli.output import print_json, printable, step_progress
    from anchor_hub.data.check import check_folder, folder_modality

    found = folder_modality(
        domain, modality, classes=classes, palette=palette, merge_classes=merge_classes, settings=modality_set or ()
    )
    with step_progress("files", quiet=quiet) as progress:
        report = check_folder(data, found, size, where=where, limit=limit, workers=workers, progress=progress)
    if as_json:
        print_json(report.as_dict())
    else:
        for item in report.bad[:SHOWN]:
            print(f"bad: {printable(item.reason)}")
        if len(report.bad) > SHOWN:
            print(f"bad: {len(report.bad) - SHOWN:,} more (--json lists all)")
        for warning in report.warnings:
            print(f"note: {printable(warning)}")
        for name, share in (report.classes or {}).items():
            print(f"class {printable(name)}: {share:.2%} of all pixels")
        for title, counts in (("split", report.splits), ("class", report.class_counts)):
            for name, count in list(counts.items())[:SHOWN]:
                print(f"{title} {printable(name)}: {count:,} file{'' if count == 1 else 's'}")
            if len(counts) > SHOWN:
                print(f"{title}: {len(counts) - SHOWN:,} more (--json lists all)")
        sizes = ", ".join(f"{count:,} of {extent}" for extent, count in list(report.sizes.items())[:3])
        more = f" and {len(report.sizes) - 3:,} other sizes" if len(report.sizes) > 3 else ""
        files = "1 file" if report.files == 1 else f"{report.files:,} files"
        found_sizes = f"; {sizes}{more}" if sizes else ""
        modes = ", ".join(f"{mode} {count:,}" for mode, count in report.modes.items())
        good = f"{report.readable:,} readable as {report.modality}, {len(report.bad):,} bad"
        print(f"{printable(report.layout)}: {files}, {good}{found_sizes}{f'; modes {modes}' if modes else ''}")
    if report.bad:
        raise typer.Exit(1)
