"""`anchor invert`: latents of a hub whose pictures come near given ones."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import options


def invert(
    inputs: list[str] = typer.Argument(..., help="Pictures: files, folders or globs.", show_default=False),
    hub: str | None = typer.Option(None, help="Hub whose latents to find: a name or a bundle's folder."),
    hub_class: str | None = typer.Option(
        None, "--class", help="Class of a class-conditional hub, by name or index (anchor hubs show HUB)."
    ),
    domain: str | None = typer.Option(
        None, help="Domain whose pictures these are; one with a generator of its own is inverted in that generator."
    ),
    method: str = typer.Option(
        "w-plus", help="Inverter: w, w-plus (w+), projection, projection-plus, factor, encoder, encoder-w-plus "
        "(encoder+w+), or a plugin's."
    ),
    output: Path | None = typer.Option(
        None, "--output", "-o", help="File to write the latents [N, L, D] to (.safetensors)."
    ),
    grid: Path | None = typer.Option(
        None, help="Write a contact sheet (PNG): input, inversion and their difference, at most 64 pictures."
    ),
    steps: int | None = typer.Option(None, min=0, help="Steps of optimisation [default: the method's]."),
    batch: int = typer.Option(16, min=1, help="Number of pictures inverted at once; bounds the memory."),
    seed: int | None = typer.Option(None, help="Seed of the method's noise [default: 0]."),
    device: options.Device = "auto",
    precision: options.Arithmetic = "fp32",
    settings: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Set an option of the method, e.g. lr=0.05; repeatable."
    ),
    perceptual: str | None = typer.Option(
        None, help="Perceptual network: auto, lpips-vgg, lpips-alex, lpips-squeeze, efficientnet-lite0, "
        "discriminator or none [default: auto]."
    ),
    keep_noise: bool = typer.Option(
        False, "--keep-noise", help="Also write the noise maps found with the latents, and show the pictures with them."
    ),
    skip_bad: options.SkipBad = False,
    as_json: bool = typer.Option(False, "--json", help="Print the numbers of every picture as JSON."),
    quiet: options.Quiet = False,
) -> None:
    """Find latents of a hub whose pictures come near yours. Files are written at the end, or none."""
    from anchor_cli.output import note, print_json, print_table, step_progress
    from anchor_hub.inversion.command_line import method_options, table
    from anchor_hub.inversion.files import invert_files

    options = method_options(settings, output=output, grid=grid, steps=steps, seed=seed, perceptual=perceptual)
    with step_progress("steps", quiet=quiet or as_json) as progress:
        result = invert_files(
            inputs,
            hub=hub,
            hub_class=hub_class,
            domain=domain,
            method=method,
            options=options,
            output=output,
            grid=grid,
            keep_noise=keep_noise,
            batch=batch,
            device=device,
            precision=precision,
            skip_bad=skip_bad,
            progress=progress,
        )
    for path, reason in result.skipped.items():
        note(f"skipped: {path}: {reason}")
    if as_json:
        print_json({"pictures": result.rows(), **result.found.record})
        return
    print_table(*table(result))
    note(f"compared by: {result.found.record['perceptual']}")
    for what, file in (("latents", output), ("contact sheet", grid)):
        if file is not None:
            note(f"{what}: {file}")
