"""`anchor translate`: translates images of one domain into another."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def translate(
    inputs: list[str] = typer.Argument(
        ..., help="Images of the source domain: files, folders or globs.", show_default=False
    ),
    source: str = typer.Option(
        ..., "--from", help="Source: a domain (anchor domains list), a bundle's folder, or a name of the translator."
    ),
    target: str = typer.Option(..., "--to", help="Target, given as the source is."),
    output: options.Outputs = None,
    grid: Path | None = typer.Option(
        None, help="Write a contact sheet (PNG) of at most 64 inputs beside their translations."
    ),
    styles: int = typer.Option(
        0, min=0, help="Random styles for each input, the same for all inputs; 0: the backend's own look."
    ),
    vary: options.Vary = False,
    style_from: options.StyleFrom = [],  # noqa: B006
    style_domain: str | None = typer.Option(
        None, help="Domain that encodes --style-from [default: the first rgb domain of target, source, hub]."
    ),
    style_layers: options.StyleLayers = None,
    truncation: options.StyleTruncation = 1.0,
    seed: int | None = typer.Option(
        None, help="Seed of the random styles; given alone, it means --styles 1 [default: 0]."
    ),
    invert: options.RefineLatents = 0,
    merge_classes: Path | None = typer.Option(
        None, help="YAML file that merges the classes of label maps as they are read."
    ),
    backend: options.Backend = None,
    translator: options.TrainedTranslator = None,
    settings: options.BackendSettings = [],  # noqa: B006
    batch: options.ImagesAtOnce = 16,
    workers: options.Readers = 2,
    device: options.Device = "auto",
    precision: options.Arithmetic = "fp32",
    skip_bad: options.SkipBad = False,
    as_json: bool = typer.Option(False, "--json", help="Print what was read and written as JSON."),
    quiet: options.Quiet = False,
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
