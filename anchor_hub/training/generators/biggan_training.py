"""What `anchor hubs train --arch biggan` trains: presets, the classes of the data, the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.errors import ConfigError, DataError, UsageError
from anchor_hub.networks.biggan import BigGANConfig
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminatorConfig
from anchor_hub.training.generators.biggan_options import BigGANOptions
from anchor_hub.training.generators.choices import BigGANChoices

if TYPE_CHECKING:
    from anchor_hub.data.image_folder import ImageFolder

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
        "augment_images": 20_000,
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
        "augment_images": 500_000,
    },
}


def configs(choices: BigGANChoices, classes: int) -> tuple[BigGANConfig, BigGANDiscriminatorConfig]:
    """The architectures of generator and discriminator. :raises ConfigError: size, channels, attention do not fit."""
    table, size = choices.of_preset(BIGGAN_PRESETS), choices.size or 64
    channels = choices.channels if choices.channels is not None else table["channels"]
    attention = table["attention"] if choices.attention is None else choices.attention
    attention = tuple(r for r in attention if r < size or choices.attention is not None)
    try:
        generator = BigGANConfig(
            size,
            latent_dim=choices.latent_dim or table["latent_dim"],
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


def constants(choices: BigGANChoices) -> BigGANOptions:
    """The training's constants, preset and own choices together. :raises UsageError: a number out of range."""
    table = choices.of_preset(BIGGAN_PRESETS)
    rate = table["learning_rate"] if choices.learning_rate is None else choices.learning_rate
    critic_rate = choices.discriminator_learning_rate
    if critic_rate is None:
        critic_rate = table["discriminator_learning_rate"]
    for option, value in (("--learning-rate", rate), ("--discriminator-learning-rate", critic_rate)):
        if not 0 < value <= 1:
            raise UsageError(f"{option} must lie above 0 and not above 1, not {value}")
    for option, weight in (("--diversity", choices.diversity), ("--mismatch", choices.mismatch)):
        if not 0 <= (weight or 0.0) <= 100:
            raise UsageError(f"{option} must lie between 0 and 100, not {weight}")
    return BigGANOptions(
        learning_rate=rate,
        discriminator_learning_rate=critic_rate,
        discriminator_steps=choices.discriminator_steps or 1,
        share_fakes=table["share_fakes"],
        class_deviation=table["class_deviation"],
        diversity=choices.diversity or 0.0,
        mismatch=choices.mismatch or 0.0,
        **choices.augmentation(table["augment_images"]),
        average_half_life=table["average_half_life"],
    )


def classes_of(
    choices: BigGANChoices, folder: str | Path, files: ImageFolder
) -> tuple[tuple[str, ...], Tensor]:
    """Class names and a label for each of the folder's files, from class folders or a table's column.

    :raises DataError: fewer than two classes, or a file that has none.
    """
    if choices.class_column is not None:
        from anchor_hub.data.class_labels import column_labels

        return column_labels(files.paths, folder, choices.class_column)
    if len(files.class_names) < 2:
        found = f" (found {files.class_names[0]!r} only)" if files.class_names else ""
        raise DataError(
            f"--data {folder}: a class-conditional hub needs a folder of images per class, two at least{found}; "
            "or name the column of a manifest.csv that holds the classes: --class-column"
        )
    return tuple(files.class_names), torch.tensor(files.labels, dtype=torch.long)
