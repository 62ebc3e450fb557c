"""`anchor data check`: checks a data set before training on it."""

from __future__ import annotations

import typer

from anchor_cli import options

SHOWN = 20


def check(
    data: list[str] = typer.Argument(..., help="Folder or zip archive in a known layout, a glob, or files."),
    domain: str | None = typer.Option(None, help="Read the files as those of this registered domain."),
    modality: str | None = typer.Option(
        None, help="Without --domain, read the files as rgb, gray, segmentation or landmarks [default: rgb]."
    ),
    classes: options.Classes = None,
    palette: options.Palette = None,
    merge_classes: options.MergeClasses = None,
    ignore_id: options.IgnoreId = None,
    span: options.Range = None,
    modality_set: list[str] | None = typer.Option(
        None, help="Set an option of the modality, OPTION=VALUE, e.g. points=5; repeatable."
    ),
    size: int = typer.Option(64, min=4, help="Height and width in pixels to read the files at."),
    where: str | None = typer.Option(
        None, help="Read only files whose manifest columns match this, e.g. 'smile>0.5' [default: all]."
    ),
    limit: int | None = typer.Option(None, min=1, help="Read only this many files, the first ones [default: all]."),
    workers: int = typer.Option(2, min=1, help="Number of threads that read files."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with every bad file."),
    quiet: options.Quiet = False,
) -> None:
    """Say which layout a data set has and what it holds. Every file of every split is read as in training; files that
    cannot be read are listed (exit 1), and so is what looks unintended."""
    from anchor_cli.output import print_json, printable, step_progress
    from anchor_hub.data.check import check_folder, folder_modality

    found = folder_modality(
        domain, modality, classes=classes, palette=palette, merge_classes=merge_classes, ignore_id=ignore_id, span=span,
        settings=modality_set or (),
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
