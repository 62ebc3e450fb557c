"""`anchor translate`: translates images of one domain into another."""

from __future__ import annotations

from pathlib import Path

import typer


def translate(
    inputs: list[str] = typer.Argument(
        ..., help="Images of the source domain: files, folders or globs.", show_default=False
    ),
    source: str = typer.Option(
        ..., "--from", help="Source: a domain (anchor domains list), a bundle's folder, or a name of the translator."
    ),
    target: str = typer.Option(..., "--to", help="Target, given as the source is."),
    output: str | None = typer.Option(
        None, "--output", "-o", help="Folder to write to, or file for one input. Outputs are named after inputs."
    ),
    grid: Path | None = typer.Option(
        None, help="Write a contact sheet (PNG) of at most 64 inputs beside their translations."
    ),
    styles: int = typer.Option(
        0, min=0, help="Random styles for each input, the same for all inputs; 0: the backend's own look."
    ),
    vary: bool = typer.Option(
        False, "--vary", help="Draw new random styles for every input instead of the same for all."
    ),
    style_from: list[Path] = typer.Option([], help="Take the style of this image; repeatable."),
    style_domain: str | None = typer.Option(
        None, help="Domain that encodes --style-from [default: the first rgb domain of target, source, hub]."
    ),
    style_layers: str | None = typer.Option(
        None, help="W+ layers that a style replaces, e.g. 6-9 [default: those the source's encoder leaves alone]."
    ),
    truncation: float = typer.Option(
        1.0, min=0, max=2, help="Pull random styles towards the mean: 1 not at all, 0 entirely."
    ),
    seed: int | None = typer.Option(
        None, help="Seed of the random styles; given alone, it means --styles 1 [default: 0]."
    ),
    invert: int = typer.Option(
        0, min=0, help="Optimisation steps that refine the latents of an rgb source."
    ),
    merge_classes: Path | None = typer.Option(
        None, help="YAML file that merges the classes of label maps as they are read."
    ),
    backend: str | None = typer.Option(
        None, help="Backend that translates [default: anchor between domains of one hub, else that of the translator "
        "that serves the pair]."
    ),
    translator: str | None = typer.Option(
        None, help="Trained translator to use, by name (anchor translators list) or bundle folder."
    ),
    settings: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Set an option of the backend, e.g. intensity=0.7; repeatable."
    ),
    batch: int = typer.Option(16, min=1, help="Number of images computed at once."),
    workers: int = typer.Option(2, min=1, help="Number of threads that read images."),
    device: str = typer.Option("auto", help="Device to compute on: auto, cpu, cuda, cuda:1 or mps."),
    precision: str = typer.Option(
        "fp32", help="Arithmetic: fp32, bf16 (faster where native, small errors), or auto (bf16 where native)."
    ),
    skip_bad: bool = typer.Option(
        False, "--skip-bad", help="Leave out files that cannot be read, and name them."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print what was read and written as JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Show no progress."),
) -> None:
    """Translate images of one domain into another. All outputs are written at the end, or none."""
    from anchor_cli.output import note, print_json, step_progress
    from anchor_hub.translation.command_line import request_of
    from anchor_hub.translation.running import translate_files

    request = request_of(
        source,
        target,
        backend=backend,
        translator=translator,
        styles=styles,
        vary=vary,
        style_from=style_from,
        style_domain=style_domain,
        style_layers=style_layers,
        truncation=truncation,
        seed=seed,
        invert=invert,
        merge_classes=merge_classes,
        settings=settings,
        precision=precision,
    )
    session = request.open(device)
    with step_progress("images", quiet=quiet or as_json) as progress:
        results = translate_files(
            session,
            inputs,
            output=output,
            grid=grid,
            batch=batch,
            readers=workers,
            skip_bad=skip_bad,
            progress=progress,
        )
    for result in results:
        if result.error:
            note(f"skipped: {result.error}")
    if as_json:
        print_json({"results": [result.to_dict() for result in results], "grid": str(grid) if grid else None})
        return
    written = sum(len(result.outputs) for result in results)
    if output is not None:
        # Several styles of one input are called after FILE, but none of them is FILE.
        named = written == 1 or not Path(output).suffix or Path(output).is_dir()
        note(f"{written} file{'s' if written != 1 else ''} written to {output if named else Path(output).parent}")
    if grid is not None:
        note(f"contact sheet: {grid}")
