"""`anchor hubs train`: a folder of images becomes a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from anchor_cli.training_options import Settings


def train(
    name: str = typer.Argument(..., help="Name of the new hub."),
    data: str = typer.Option(..., help="Folder (or zip archive, or glob) of RGB images."),
    size: int | None = typer.Option(
        None, help="Height and width in pixels: a power of two; images are resized to it [default: 64, or the start's]."
    ),
    arch: str = typer.Option(
        "stylegan2",
        help="The recipe: stylegan2; biggan: class-conditional, a folder of images per class below --data; a plugin's.",
    ),
    set_: Settings = [],  # noqa: B006  (Typer reads it and copies)
    preset: str = typer.Option(
        "small", help="small (64 px, 2 to 4 million parameters, two CPU cores) or published (for GPUs)."
    ),
    channels: str | None = typer.Option(
        None, help="Channels by resolution, e.g. 4:256,8:256,16:192,32:128,64:64."
    ),
    latent_dim: int | None = typer.Option(
        None, help="Length of a latent (small: 256, published: 512); biggan: of a chunk of z (16, 20)."
    ),
    images: int | None = typer.Option(None, min=1, help="Stop after this many images seen."),
    max_minutes: float | None = typer.Option(None, min=0, help="Stop cleanly after this many minutes."),
    batch: int | None = typer.Option(
        None, min=1, help="Images per step, over all processes (small: 16, published: 32; biggan: 16, 256)."
    ),
    seed: int = typer.Option(0, help="Fixes everything that is random."),
    precision: str = typer.Option("auto", help="auto, fp32 or bf16."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1 or mps."),
    mirror: bool = typer.Option(False, "--mirror/--no-mirror", help="Flip half of the images left to right."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in the run folder."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the hub if it exists, and (without --resume) its earlier run."
    ),
    new_data: bool = typer.Option(False, "--new-data", help="Let --resume go on with other images than before."),
    run_dir: Path | None = typer.Option(
        None, help="Checkpoints, logs, samples [default: runs/NAME in the home]."
    ),
    output: Path | None = typer.Option(
        None, "--output", "-o", help="The bundle's folder [default: hubs/NAME in the home]."
    ),
    license: str | None = typer.Option(None, help="Licence of the weights [default: unknown]."),
    data_license: str | None = typer.Option(
        None, help="Licence of the images [default: unknown, or the rendered data set's]."
    ),
    learning_rate: float | None = typer.Option(
        None, help="Adam's learning rate (small: 0.003, published: 0.002; biggan: 0.0004, 0.0001)."
    ),
    augment: str | None = typer.Option(
        None, help="Differentiable augmentation: all, or some of colour,translation,cutout [default: none]."
    ),
    keep_discriminator: bool = typer.Option(
        False, "--keep-discriminator", help="Keep the discriminator in the bundle, for trainings that start from it."
    ),
    half: bool = typer.Option(False, "--half", help="Store the weights in half precision: half the file."),
    start_from: str | None = typer.Option(
        None, help="Go on from this StyleGAN2 hub: its name, or its bundle's folder, instead of from nothing."
    ),
    discriminator_from: str | None = typer.Option(
        None, help="With --start-from: take the discriminator that this other hub keeps, instead of the start's own."
    ),
    discriminator_warmup: int | None = typer.Option(
        None, min=0, help="With --start-from: images that a fresh (or other) discriminator learns from before the "
        "generator moves [default: 5000, or 0 where the hub keeps its own].",
    ),
    class_column: str | None = typer.Option(
        None, help="biggan: the column of manifest.csv that holds the classes [default: the folders are the classes]."
    ),
    discriminator_learning_rate: float | None = typer.Option(
        None, help="biggan: the discriminator's (small: 0.0008, published: 0.0004)."
    ),
    discriminator_steps: int | None = typer.Option(
        None, min=1, help="biggan: discriminator steps per generator step [default: 1]."
    ),
    diversity: float | None = typer.Option(
        None, help="biggan: weight of the mode-seeking term, for few images and small batches, e.g. 0.1 [default: 0]."
    ),
    mismatch: float | None = typer.Option(
        None, help="biggan: weight of refusing real images of a wrong class, e.g. 0.5 [default: 0]."
    ),
    attention: str | None = typer.Option(None, help="biggan: resolutions with self-attention, e.g. 32 (small: 16)."),
    r1: float | None = typer.Option(None, help="Gamma of the R1 penalty (small: 2, published: 10)."),
    path_length: bool | None = typer.Option(
        None, "--path-length/--no-path-length", help="Path-length regularisation (small: off, published: on)."
    ),
    noise: bool | None = typer.Option(None, "--noise/--no-noise", help="Random noise in synthesis (small: off)."),
    style_mixing: float | None = typer.Option(
        None, help="Probability of mixing two latents in a batch [default: 0.9]."
    ),
    where: str | None = typer.Option(
        None, help="Only images whose manifest columns fulfil this, e.g. 'smile>0.5'."
    ),
    limit: int | None = typer.Option(None, min=1, help="Only the first so many images."),
    workers: int = typer.Option(2, min=1, help="Threads that read images."),
    processes: int | None = typer.Option(None, min=1, help="Processes that train together [default: one per core]."),
    sample_every: int = typer.Option(200, min=1, help="Steps between sample pictures."),
    checkpoint_minutes: float = typer.Option(5.0, min=0.01, help="Minutes between checkpoints."),
    compile: bool = typer.Option(
        False, "--compile/--no-compile", help="Compile the networks with torch.compile."
    ),
) -> None:
    """Train a hub (StyleGAN2, BigGAN, a plugin's) on a folder of images; needs an end: --images or --max-minutes."""
    from anchor_hub.specs import check_name
    from anchor_hub.system.home import home
    from anchor_hub.training.generators.choices import parse_channels, parse_resolutions
    from anchor_hub.training.generators.training import HubTraining, recipe_settings, train_hub

    check_name(name, "hub name")
    given: dict[str, Any] = dict(
        preset=preset, size=size, channels=parse_channels(channels) if channels else None, latent_dim=latent_dim,
        images=images, max_minutes=max_minutes, batch=batch, seed=seed, precision=precision, device=device,
        mirror=mirror, resume=resume, overwrite=overwrite, new_data=new_data, license=license,
        data_license=data_license, learning_rate=learning_rate, r1_gamma=r1, path_length=path_length,
        style_mixing=style_mixing, noise=noise, augment=augment, keep_discriminator=keep_discriminator, half=half,
        start_from=start_from, discriminator_from=discriminator_from, discriminator_warmup=discriminator_warmup,
        class_column=class_column, discriminator_learning_rate=discriminator_learning_rate,
        discriminator_steps=discriminator_steps, diversity=diversity, mismatch=mismatch,
        attention=parse_resolutions(attention) if attention is not None else None, where=where, limit=limit,
        workers=workers, processes=processes, sample_every=sample_every, checkpoint_minutes=checkpoint_minutes,
        compile=compile,
    )  # fmt: skip
    own = {**given, **recipe_settings(set_)}
    result, bundle = train_hub(
        HubTraining(name, data, run_dir or home().runs / name, output or home().hubs / name, arch, own)
    )
    if bundle is not None:
        typer.echo(f"{result.images:,} images seen in {result.minutes:.0f} minutes; hub written to {bundle}")
    if result.exit_code:
        raise typer.Exit(result.exit_code)
