"""What `anchor hubs train --arch biggan` trains: presets, the classes of the data, the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.errors import ConfigError, DataError, UsageError, did_you_mean
from anchor_hub.networks.biggan import BigGANConfig
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminatorConfig
from anchor_hub.training.generators.augment import parse_augment
from anchor_hub.training.generators.biggan_recipe import BigGANOptions, BigGANRecipe

if TYPE_CHECKING:
    from anchor_hub.data.image_folder import ImageFolder
    from anchor_hub.training.generators.training import HubTraining

# What a preset decides unless an option says otherwise.
BIGGAN_PRESETS: dict[str, dict[str, Any]] = {
    # Two million parameters at 64 px, for a core or two of a CPU and a few thousand steps, hence the learning rates.
    "small": {
        "latent_dim": 16,
        "embedding_dim": 32,
        "channels": {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 16},
        "discriminator_channels": {128: 16, 64: 16, 32: 32, 16: 64, 8: 128, 4: 192},
        "attention": (16,),
        "learning_rate": 4e-4,
        "discriminator_learning_rate": 8e-4,
        "batch": 16,
        "share_fakes": True,
        "class_deviation": 1.0,
        "average_half_life": 5_000.0,
    },
    # The paper's 128 px network of "ch" 96, for GPUs; batch and learning rates as in the authors' code.
    "published": {
        "latent_dim": 20,
        "embedding_dim": 128,
        "channels": None,
        "discriminator_channels": None,
        "attention": (64,),
        "learning_rate": 1e-4,
        "discriminator_learning_rate": 4e-4,
        "batch": 256,
        "share_fakes": False,
        "class_deviation": None,
        "average_half_life": 1_774_000.0,  # 0.9999 per step of 256
    },
}


def preset(training: HubTraining) -> dict[str, Any]:
    """The preset's table. :raises UsageError: no such preset."""
    if training.preset not in BIGGAN_PRESETS:
        raise UsageError(f"--preset {training.preset!r} is not known.{did_you_mean(training.preset, BIGGAN_PRESETS)}")
    return BIGGAN_PRESETS[training.preset]


def configs(training: HubTraining, classes: int) -> tuple[BigGANConfig, BigGANDiscriminatorConfig]:
    """The architectures of generator and discriminator. :raises ConfigError: size, channels, attention do not fit."""
    table, size = preset(training), training.pixels
    channels = training.channels if training.channels is not None else table["channels"]
    attention = table["attention"] if training.attention is None else training.attention
    attention = tuple(r for r in attention if r < size or training.attention is not None)
    try:
        generator = BigGANConfig(
            size,
            latent_dim=training.latent_dim or table["latent_dim"],
            classes=classes,
            embedding_dim=table["embedding_dim"],
            channels=None if channels is None else {r: count for r, count in channels.items() if r <= size},
            attention=attention,
        )
        critic = table["discriminator_channels"]
        if critic is not None:
            critic = {r: count for r, count in critic.items() if r < size}
        discriminator = BigGANDiscriminatorConfig.of_size(
            size, channels=critic, attention=[r for r in attention if r < size], classes=classes
        )
    except ValueError as error:
        raise ConfigError(f"--size {size}, --channels, --attention: {error}") from error
    return generator, discriminator


def options(training: HubTraining) -> BigGANOptions:
    """The training's constants, preset and own choices together. :raises UsageError: a number out of range."""
    table = preset(training)
    rate = table["learning_rate"] if training.learning_rate is None else training.learning_rate
    critic_rate = training.discriminator_learning_rate
    if critic_rate is None:
        critic_rate = table["discriminator_learning_rate"]
    for option, value in (("--learning-rate", rate), ("--discriminator-learning-rate", critic_rate)):
        if not 0 < value <= 1:
            raise UsageError(f"{option} must lie above 0 and not above 1, not {value}")
    for option, weight in (("--diversity", training.diversity), ("--mismatch", training.mismatch)):
        if not 0 <= (weight or 0.0) <= 100:
            raise UsageError(f"{option} must lie between 0 and 100, not {weight}")
    return BigGANOptions(
        learning_rate=rate,
        discriminator_learning_rate=critic_rate,
        discriminator_steps=training.discriminator_steps or 1,
        share_fakes=table["share_fakes"],
        class_deviation=table["class_deviation"],
        diversity=training.diversity or 0.0,
        mismatch=training.mismatch or 0.0,
        augment=parse_augment(training.augment or "none"),
        average_half_life=table["average_half_life"],
    )


def classes_of(training: HubTraining, folder: ImageFolder) -> tuple[tuple[str, ...], Tensor]:
    """Class names and a label for each of the folder's files, from class folders or a table's column.

    :raises DataError: fewer than two classes, or a file that has none.
    """
    if training.class_column is not None:
        from anchor_hub.data.class_labels import column_labels

        return column_labels(folder.paths, training.data, training.class_column)
    if len(folder.class_names) < 2:
        found = f" (found {folder.class_names[0]!r} only)" if folder.class_names else ""
        raise DataError(
            f"--data {training.data}: a class-conditional hub needs a folder of images per class, two at least{found}; "
            "or name the column of a manifest.csv that holds the classes: --class-column"
        )
    return tuple(folder.class_names), torch.tensor(folder.labels, dtype=torch.long)


def build_recipe(training: HubTraining, classes: Sequence[str]) -> BigGANRecipe:
    """The recipe of a training on these classes. :raises ConfigError, UsageError: settings that do not fit."""
    generator, discriminator = configs(training, len(classes))
    return BigGANRecipe(
        generator,
        discriminator,
        classes,
        options(training),
        hub_name=training.name,
        keep_discriminator=training.keep_discriminator,
        half=training.half,
    )
