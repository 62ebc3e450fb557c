"""`anchor data render`: renders faces, or classes of creatures, with exact annotations into folders of files."""

from __future__ import annotations

from pathlib import Path

import typer


def render(
    output: Path = typer.Option(
        ..., "--output", "-o", help="Folder to write the data set to: one folder per modality inside."
    ),
    count: int = typer.Option(1000, min=1, help="Number of samples; with --classes, of each class."),
    size: int = typer.Option(64, min=16, help="Height and width in pixels, a multiple of 16 up to 1,024."),
    classes: str | None = typer.Option(
        None,
        help="Render creatures, a folder per class: 'all', or comma-separated names, e.g. "
        "ginger,tuxedo,redhead,toon-blue; also car, car-front. "
        "Sample i of every class has the same pose, expression and light.",
    ),
    modalities: str | None = typer.Option(
        None,
        help="Modalities to render, comma-separated: face, seg, sketch, landmark, depth, normal, toon, cat, car, "
        "car_front; also toon_seg, toon_landmark, cat_seg, cat_sketch, cat_landmark, car_seg "
        "[default: face,seg,sketch,landmark]. With --classes: image, seg, landmark "
        "[default: all three]; cars have no landmark.",
    ),
    seed: int = typer.Option(0, min=0, help="Seed of the faces."),
    start: int = typer.Option(0, min=0, help="Number of the first sample."),
    workers: int = typer.Option(2, min=1, help="Number of processes, of one thread each."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Show no progress."),
) -> None:
    """Render people, their cartoon twins, cats and toy cars. Files that the folder already holds are kept."""
    from anchor_faces.creature_dataset import DEFAULT_CREATURE_MODALITIES, parse_classes, render_creature_dataset
    from anchor_faces.dataset import DEFAULT_MODALITIES, render_dataset
    from anchor_hub.system.terminal import step_progress

    wanted = None if modalities is None else list(dict.fromkeys(name.strip() for name in modalities.split(",")))
    names = None if classes is None else parse_classes(classes)
    with step_progress("samples", quiet=quiet) as progress:
        if names is None:
            folder = render_dataset(
                output,
                count=count,
                size=size,
                seed=seed,
                start=start,
                modalities=wanted or DEFAULT_MODALITIES,
                workers=workers,
                progress=progress,
            )
        else:
            folder = render_creature_dataset(
                output,
                classes=names,
                count=count,
                size=size,
                seed=seed,
                start=start,
                modalities=wanted or DEFAULT_CREATURE_MODALITIES,
                workers=workers,
                progress=progress,
            )
    each = "" if names is None else f" of {len(names)} classes each"
    typer.echo(f"{count:,} sample{'' if count == 1 else 's'}{each} in {folder}")
