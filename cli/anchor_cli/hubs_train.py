"""`anchor hubs train`: trains a hub on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from anchor_cli import options, training_options
from anchor_cli.training_options import Settings


def train(
    name: str = typer.Argument(..., help="Name of the new hub."),
    data: str = typer.Option(..., help="Folder (or zip archive, or glob) of RGB images."),
    size: int | None = typer.Option(
        None, help="Side of the images in pixels, a power of two; images are resized [default: 64, or --start-from's]."
    ),
    arch: str = typer.Option(
        "stylegan2",
        help="Recipe: stylegan2, biggan (class-conditional; --data holds a folder of images per class), or a plugin's.",
    ),
    set_: Settings = [],  # noqa: B006  (Typer reads it and copies)
    preset: str = typer.Option(
        "small", help="Preset: small (64 px, 2 to 4 million parameters, for two CPU cores) or published (for GPUs)."
    ),
    channels: str | None = typer.Option(
        None, help="Channels by resolution, e.g. 4:256,8:256,16:192,32:128,64:64 [default: by preset]."
    ),
    latent_dim: int | None = typer.Option(
        None, help="Length of a latent [default: small 256, published 512]; biggan: of a chunk of z [small 16, "
        "published 20]."
    ),
    images: training_options.Images = None,
    max_minutes: float | None = typer.Option(None, min=0, help="Stop cleanly after this many minutes of training."),
    batch: int | None = typer.Option(
        None, min=1, help="Images per step, all processes together [default: small 16, published 32; biggan 16, 256]."
    ),
    seed: training_options.GivenSeed = 0,
    precision: training_options.Precision = "auto",
    device: options.Device = "auto",
    mirror: bool = typer.Option(False, "--mirror/--no-mirror", help="Mirror half of the images left to right."),
    resume: training_options.Resume = False,
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the hub if it exists, and (without --resume) its earlier run."
    ),
    new_data: bool = typer.Option(False, "--new-data", help="Let --resume continue with other images than before."),
    run_dir: Path | None = typer.Option(
        None, help="Folder for checkpoints, logs and samples [default: runs/NAME in the home]."
    ),
    output: training_options.HubFolder = None,
    license: training_options.License = None,
    data_license: training_options.ImagesLicense = None,
    learning_rate: float | None = typer.Option(
        None, help="Adam's learning rate [default: small 0.003, published 0.002; biggan 0.0004, 0.0001]."
    ),
    augment: str | None = typer.Option(
        None, help="Differentiable augmentations: all, or some of colour,translation,cutout; or ada (adaptive, for few "
        "images), also ada:KINDS [default: none]."
    ),
    critic: str | None = typer.Option(
        None, help="stylegan2: what judges the images: stylegan2 (its discriminator) or projected (on features of a "
        "frozen classifier; extra [perceptual]) [default: stylegan2]."
    ),
    keep_discriminator: bool = typer.Option(
        False, "--keep-discriminator", help="Keep the discriminator in the bundle, so that trainings can start from it."
    ),
    half: training_options.Half = False,
    start_from: str | None = typer.Option(
        None, help="Start from the weights of this StyleGAN2 hub: a name or a bundle folder [default: none]."
    ),
    discriminator_from: str | None = typer.Option(
        None, help="With --start-from: hub whose discriminator to start from [default: the --start-from hub]."
    ),
    discriminator_warmup: int | None = typer.Option(
        None, min=0, help="With --start-from: images on which a new (or another hub's) discriminator is first trained "
        "alone [default: 5000; 0 with the hub's own discriminator].",
    ),
    class_column: str | None = typer.Option(
        None, help="biggan: column of manifest.csv that holds the classes [default: folders are classes]."
    ),
    discriminator_learning_rate: float | None = typer.Option(
        None, help="biggan: the discriminator's learning rate [default: small 0.0008, published 0.0004]."
    ),
    discriminator_steps: int | None = typer.Option(
        None, min=1, help="biggan: discriminator steps per generator step [default: 1]."
    ),
    diversity: float | None = typer.Option(
        None, help="biggan: weight of the mode-seeking term, for few images or small batches, e.g. 0.1 [default: 0]."
    ),
    mismatch: float | None = typer.Option(
        None, help="biggan: weight of the term that rejects real images with a wrong class, e.g. 0.5 [default: 0]."
    ),
    attention: str | None = typer.Option(
        None, help="biggan: resolutions with self-attention, e.g. 32 [default: small 16, published 64]."
    ),
    r1: float | None = typer.Option(None, help="Gamma of the R1 penalty [default: small 2, published 10]."),
    path_length: bool | None = typer.Option(
        None, "--path-length/--no-path-length", help="Path-length regularisation [default: small off, published on]."
    ),
    noise: bool | None = typer.Option(
        None, "--noise/--no-noise", help="Random noise in synthesis [default: small off, published on]."
    ),
    style_mixing: float | None = typer.Option(
        None, help="Probability of mixing two latents in a batch [default: 0.9]."
    ),
    where: training_options.Where = None,
    limit: training_options.ImagesLimit = None,
    workers: options.Readers = 2,
    processes: training_options.Processes = None,
    sample_every: int = typer.Option(200, min=1, help="Steps between sample pictures."),
    checkpoint_minutes: float = typer.Option(5.0, min=0.01, help="Minutes between checkpoints."),
    compile: bool = typer.Option(
        False, "--compile/--no-compile", help="Compile the networks with torch.compile."
    ),
) -> None:
    """Train a hub (StyleGAN2, BigGAN, a plugin's) on a folder of images. Give an end: --images or --max-minutes."""
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
        style_mixing=style_mixing, noise=noise, augment=augment, critic=critic,
        keep_discriminator=keep_discriminator, half=half,
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
