"""`anchor data render`: rendered faces with exact annotations, as folders of files."""

from __future__ import annotations

from pathlib import Path

import typer


def render(
    output: Path = typer.Option(
        ..., "--output", "-o", help="The data set's folder: one folder per modality inside."
    ),
    count: int = typer.Option(1000, min=1, help="Number of samples."),
    size: int = typer.Option(64, min=16, help="Height and width in pixels, a multiple of 16."),
    modalities: str = typer.Option(
        "face,seg,sketch,landmark",
        help="Which to render, with commas: face, seg, sketch, landmark, depth, normal, toon, cat; "
        "also toon_seg, toon_landmark, cat_seg, cat_sketch, cat_landmark.",
    ),
    seed: int = typer.Option(0, min=0, help="Another seed gives other faces."),
    start: int = typer.Option(0, min=0, help="Number of the first sample."),
    workers: int = typer.Option(2, min=1, help="Processes, of one thread each."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
) -> None:
    """Render people, their cartoon twins and cats. What the folder holds already is not rendered again."""
    from anchor_cli.output import step_progress
    from anchor_faces.dataset import render_dataset

    with step_progress("samples", quiet=quiet) as progress:
        folder = render_dataset(
            output,
            count=count,
            size=size,
            seed=seed,
            start=start,
            modalities=list(dict.fromkeys(name.strip() for name in modalities.split(","))),
            workers=workers,
            progress=progress,
        )
    typer.echo(f"{count:,} samples in {folder}")
