"""`anchor morph`: animates the way from one picture to the next through the hub's latents."""

from __future__ import annotations

import typer

from anchor_cli import options


def morph(
    inputs: list[str] = typer.Argument(
        ..., help="Images of the source domain in their order, two at least: files, folders or globs; or files of "
        "latents that anchor invert wrote.", show_default=False,
    ),
    source: options.EditedSource = None,
    target: str | None = typer.Option(None, "--to", help="Domain to decode with [default: the source itself]."),
    output: str = typer.Option(
        ..., "--output", "-o", help="Animation to write (.gif, .webp, .png or .apng), or folder for frames as PNG."
    ),
    frames: int = typer.Option(24, min=1, help="Frames from one picture to the next."),
    loop: bool = typer.Option(False, "--loop", help="Go on from the last picture to the first, without a jump."),
    ease: bool = typer.Option(False, "--ease", help="Go slowly at each picture and fast between."),
    rate: float = typer.Option(25, "--fps", min=1, help="Frames a second."),
    scale: int = typer.Option(1, min=1, help="Enlarge each pixel to a square of this side."),
    hub: str | None = typer.Option(None, help="Of latents: whose they are [default: the hub that the file names]."),
    seed: int | None = typer.Option(None, help="Seed of a random style for all frames [default: the own look]."),
    invert: options.FindLatents = 0,
    settings: options.AnchorSettings = [],  # noqa: B006
    batch: int = typer.Option(16, min=1, help="Number of frames computed at once."),
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Morph from picture to picture: the frames' latents lie on the line between those of the pictures."""
    from anchor_cli.output import note, step_progress
    from anchor_hub.editing.command_line import session_for
    from anchor_hub.editing.morph import morph_files

    session = session_for(
        inputs, source, target, hub=hub, seed=seed, invert=invert, settings=settings, device=device
    )
    with step_progress("frames", quiet=quiet) as progress:
        path, total = morph_files(
            session, inputs, output, frames=frames, loop=loop, ease=ease, rate=rate, scale=scale, batch=batch,
            progress=progress,
        )  # fmt: skip
    note(f"{total} frames written to {path}")
