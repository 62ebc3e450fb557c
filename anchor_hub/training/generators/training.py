"""`anchor hubs train` without the command line: from a folder of images to a hub bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.errors import ConfigError, DataError, UsageError, did_you_mean
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from anchor_hub.system.devices import resolve_device
from anchor_hub.training.engine.processes import default_processes
from anchor_hub.training.engine.provenance import licenses, provenance, rendered_data_set
from anchor_hub.training.engine.recipe import resolve_precision
from anchor_hub.training.engine.targets import check_target_is_free, holds_run
from anchor_hub.training.engine.trainer import RunResult, Trainer
from anchor_hub.training.generators.augment import parse_augment
from anchor_hub.training.generators.start import HubStart, load_start
from anchor_hub.training.generators.stylegan2_recipe import HubOptions, HubRecipe

if TYPE_CHECKING:
    from anchor_hub.training.generators.biggan_recipe import BigGANRecipe

# What a preset decides unless an option says otherwise.
PRESETS: dict[str, dict[str, Any]] = {
    # Learns faces on two CPU cores within hours: 4 million parameters at 64 px.
    "small": {
        "latent_dim": 256,
        "channels": {4: 256, 8: 256, 16: 192, 32: 128, 64: 64, 128: 32, 256: 16},
        "r1_gamma": 2.0,
        "noise": False,
        "learning_rate": 0.003,
        "batch": 16,
        "path_length_weight": 0.0,
    },
    # Config F of the paper, for a GPU.
    "published": {
        "latent_dim": 512,
        "channels": None,
        "r1_gamma": 10.0,
        "noise": True,
        "learning_rate": 0.002,
        "batch": 32,
        "path_length_weight": 2.0,
    },
}


#: Options that one architecture has and the other does not: field -> how the command line calls it.
OWN_OPTIONS: dict[str, dict[str, str]] = {
    "stylegan2": {
        "r1_gamma": "--r1", "path_length": "--path-length", "style_mixing": "--style-mixing", "noise": "--noise",
        "compile": "--compile", "start_from": "--start-from", "discriminator_from": "--discriminator-from",
        "discriminator_warmup": "--discriminator-warmup",
    },
    "biggan": {
        "discriminator_learning_rate": "--discriminator-learning-rate", "discriminator_steps": "--discriminator-steps",
        "attention": "--attention", "class_column": "--class-column", "diversity": "--diversity",
        "mismatch": "--mismatch",
    },
}  # fmt: skip


@dataclass
class HubTraining:
    """One hub training. None means: as the preset has it.

    `arch` is "stylegan2", or "biggan", which trains on classes: folders below `data`, or the column `class_column` of
    the table beside the images. `augment` names differentiable augmentations ("colour,translation,cutout" or "all").

    `data` is a folder of RGB images (or a glob); `output` the bundle's folder, which `overwrite` allows to replace
    (and, without `resume`, the run folder's earlier run). `license` and `data_license` are of the weights and of the
    images, as the bundle records them; by default "unknown", or what is known of a rendered data set.

    `start_from` is a StyleGAN2 hub (a registered name, or a bundle's folder) to go on from, `discriminator_from` one
    that gives its discriminator; such a one, or a fresh one where the start keeps none, learns alone for
    `discriminator_warmup` images. `half` stores the weights in half
    precision.
    """

    name: str
    data: str | Path
    run_dir: Path
    output: Path
    arch: str = "stylegan2"
    preset: str = "small"
    size: int | None = None
    channels: Mapping[int, int] | None = None
    latent_dim: int | None = None
    mapping_layers: int = 8
    images: int | None = None
    max_minutes: float | None = None
    batch: int | None = None
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    mirror: bool = False
    resume: bool = False
    overwrite: bool = False
    new_data: bool = False
    learning_rate: float | None = None
    r1_gamma: float | None = None
    path_length: bool | None = None
    style_mixing: float | None = None
    noise: bool | None = None
    augment: str | None = None
    discriminator_learning_rate: float | None = None
    discriminator_steps: int | None = None
    diversity: float | None = None
    mismatch: float | None = None
    attention: tuple[int, ...] | None = None
    class_column: str | None = None
    keep_discriminator: bool = False
    half: bool = False
    start_from: str | Path | None = None
    discriminator_from: str | Path | None = None
    discriminator_warmup: int | None = None
    where: str | None = None
    limit: int | None = None
    workers: int = 2
    processes: int | None = None
    sample_every: int = 200
    checkpoint_minutes: float = 5.0
    compile: bool = False
    quiet: bool = False
    license: str | None = None
    data_license: str | None = None

    @cached_property
    def start(self) -> HubStart | None:
        """The hub to go on from. Raises HubNotFoundError, BundleError, UsageError."""
        return None if self.start_from is None else load_start(self.start_from, self.discriminator_from)

    @property
    def pixels(self) -> int:
        """Height and width of the images."""
        return self.size or (64 if self.start is None else self.start.config.size)

    @property
    def step_images(self) -> int:
        """Images per step over all processes. Small hubs learn faster per image from small steps."""
        if self.arch == "biggan":
            from anchor_hub.training.generators.biggan_training import preset

            return (self.batch or int(preset(self)["batch"])) * (self.discriminator_steps or 1)
        return self.batch or int(self._preset()["batch"])

    def check_architecture(self) -> None:
        """:raises UsageError: an unknown architecture, or an option that the chosen one does not have."""
        if self.arch not in OWN_OPTIONS:
            raise UsageError(f"--arch {self.arch!r} is not known.{did_you_mean(self.arch, OWN_OPTIONS)}")
        for arch, own in OWN_OPTIONS.items():
            given = [option for field, option in own.items() if getattr(self, field) not in (None, False)]
            if arch != self.arch and given:
                raise UsageError(f"{given[0]} is an option of --arch {arch}, not of {self.arch}: leave it out")

    def config(self) -> StyleGAN2Config:
        """The generator's architecture. Raises ConfigError where size and channels do not fit."""
        preset = self._preset()
        if self.start is not None:
            self._check_fits_start(self.start.config)
            return self.start.config
        channels = self.channels if self.channels is not None else preset["channels"]
        try:
            return StyleGAN2Config(
                self.pixels,
                latent_dim=self.latent_dim or preset["latent_dim"],
                mapping_layers=self.mapping_layers,
                channels=channels,
            )
        except ValueError as error:
            raise ConfigError(f"--size {self.pixels}, --channels: {error}") from error

    def options(self) -> HubOptions:
        """The training's constants, preset and own choices together."""
        preset = self._preset()
        rate = preset["learning_rate"] if self.learning_rate is None else self.learning_rate
        gamma = preset["r1_gamma"] if self.r1_gamma is None else self.r1_gamma
        mixing = HubOptions.style_mixing if self.style_mixing is None else self.style_mixing
        weight = preset["path_length_weight"] if self.path_length is None else 2.0 * self.path_length
        for option, value, low, high in (
            ("--learning-rate", rate, 0, 1),
            ("--r1", gamma, 0, 1e6),
            ("--style-mixing", mixing, 0, 1),
        ):
            if not low <= value <= high:
                raise UsageError(f"{option} must lie between {low} and {high:g}, not {value}")
        return HubOptions(
            learning_rate=rate,
            r1_gamma=gamma,
            path_length_weight=weight,
            style_mixing=mixing,
            noise=preset["noise"] if self.noise is None else self.noise,
            augment=parse_augment(self.augment or "none"),
            discriminator_warmup=self._warmup(),
            # The average of a start is worth keeping from the first step on.
            average_rampup=HubOptions.average_rampup if self.start is None else None,
        )

    def _warmup(self) -> int:
        for option in ("discriminator_warmup", "discriminator_from"):
            if getattr(self, option) is not None and self.start is None:
                name = option.replace("_", "-")
                raise UsageError(f"--{name} is for trainings that --start-from a hub: leave it out")
        default = 0 if self.start is None else self.start.warmup
        return default if self.discriminator_warmup is None else self.discriminator_warmup

    def _check_fits_start(self, config: StyleGAN2Config) -> None:
        for option, given, held in (
            ("--size", self.size, config.size),
            ("--latent-dim", self.latent_dim, config.latent_dim),
            ("--channels", self.channels, config.channels_of),
        ):
            if given not in (None, held):
                raise UsageError(f"{option}: hub {self.start_from}, where the training starts, has {held}, not {given}")

    def _preset(self) -> dict[str, Any]:
        if self.preset not in PRESETS:
            raise UsageError(f"--preset {self.preset!r} is not known.{did_you_mean(self.preset, PRESETS)}")
        return PRESETS[self.preset]


def train_hub(training: HubTraining) -> tuple[RunResult, Path | None]:
    """Train, and export the bundle when the run came to its end: (result, bundle or None).

    A run that was interrupted leaves a checkpoint; the same call with `resume` goes on and exports at its
    end, and may replace the bundle that it wrote before. Raises UsageError where another hub would be replaced.
    """
    from anchor_hub.data.image_folder import ImageFolder
    from anchor_hub.modality import build_modality
    from anchor_hub.training.generators import biggan_training

    training.check_architecture()
    recipe: BigGANRecipe | HubRecipe | None = None
    if training.arch == "biggan":
        biggan_training.configs(training, classes=2), biggan_training.options(training)  # told before reading
    else:
        recipe = HubRecipe(
            training.config(), training.options(), hub_name=training.name, compile=training.compile,
            keep_discriminator=training.keep_discriminator, half=training.half, start=training.start,
        )  # fmt: skip
    own = training.resume and holds_run(training.run_dir)  # a bundle there is of the run that goes on
    check_target_is_free(
        "hub", training.name, training.output, training.run_dir,
        resume=training.resume, overwrite=training.overwrite or own,
    )  # fmt: skip
    device = resolve_device(training.device)
    modality = build_modality({"name": "rgb"})
    folder = ImageFolder(training.data, modality, training.pixels, where=training.where, limit=training.limit)
    if not len(folder):
        raise DataError(f"{training.data} holds no images to train on; --data takes a folder of PNG or JPEG files")
    classes, labels = None, None
    if recipe is None:
        classes, labels = biggan_training.classes_of(training, folder)
        recipe = biggan_training.build_recipe(training, classes)
    trainer = Trainer(
        recipe,
        folder.load_all(training.workers),
        modality,
        training.run_dir,
        batch=training.step_images,
        total_images=training.images,
        max_minutes=training.max_minutes,
        seed=training.seed,
        precision=resolve_precision(training.precision, device),
        device=device,
        mirror=training.mirror,
        workers=training.workers,
        sample_every=training.sample_every,
        checkpoint_minutes=training.checkpoint_minutes,
        options=recipe.describe(),
        quiet=training.quiet,
        processes=training.processes or default_processes(device, training.step_images),
        new_data=training.new_data,
        labels=labels,
    )
    if training.overwrite and not training.resume:
        trainer.clear_run()
    result = trainer.run(training.resume)
    if not result.finished or not trainer.is_first:
        return result, None
    data_set = rendered_data_set(training.data)
    record = provenance(
        "anchor hubs train", data=Path(training.data).name, data_images=len(trainer.data), images_seen=result.images,
        steps=result.steps, minutes=round(result.minutes, 1), batch=training.step_images, seed=training.seed,
        precision=trainer.precision, mirror=training.mirror, device=trainer.device.type, processes=trainer.processes,
        where=training.where, data_set=data_set, architecture=training.arch, classes=classes and len(classes),
        options=recipe.options.to_dict(), start=training.start and training.start.record(),
    )  # fmt: skip
    license = licenses(training.license, training.data_license, data_set)
    return result, recipe.export(training.output, record, license)


def parse_channels(text: str) -> dict[int, int]:
    """'4:256,8:192' to {4: 256, 8: 192}. Raises UsageError for anything else."""
    try:
        table = {int(size): int(count) for size, count in (pair.split(":") for pair in text.split(","))}
    except ValueError as error:
        raise UsageError(
            f"--channels {text!r} is not understood; write resolution:channels pairs, e.g. 4:256,8:256,16:128"
        ) from error
    if not table or min(table.values()) < 1:
        raise UsageError(f"--channels {text!r}: every resolution needs at least one channel")
    return table


def parse_resolutions(text: str) -> tuple[int, ...]:
    """'16,32' to (16, 32), 'none' to (). Raises UsageError for anything else."""
    if text.strip() == "none":
        return ()
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise UsageError(f"--attention {text!r} is not a list of resolutions such as 16,32, or none") from error
