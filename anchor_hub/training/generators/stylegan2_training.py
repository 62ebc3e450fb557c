"""What `anchor hubs train --arch stylegan2` trains: presets, and a recipe's constants from what was chosen."""

from __future__ import annotations

from typing import Any

from anchor_hub.errors import ConfigError, UsageError
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from anchor_hub.training.generators.choices import StyleGAN2Choices, flag
from anchor_hub.training.generators.start import WARMUP_IMAGES, HubStart, load_start
from anchor_hub.training.generators.stylegan2_options import HubOptions

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
        "augment_images": 20_000,
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
        "augment_images": 500_000,
    },
}


def start_of(choices: StyleGAN2Choices) -> HubStart | None:
    """The hub to go on from. Raises HubNotFoundError, BundleError, UsageError."""
    return None if choices.start_from is None else load_start(choices.start_from, choices.discriminator_from)


def config(choices: StyleGAN2Choices, start: HubStart | None) -> StyleGAN2Config:
    """The generator's architecture. Raises ConfigError where size and channels do not fit."""
    preset = choices.of_preset(PRESETS)
    if start is not None:
        _check_fits_start(choices, start.config)
        return start.config
    size = choices.size or 64
    channels = choices.channels if choices.channels is not None else preset["channels"]
    try:
        return StyleGAN2Config(
            size,
            latent_dim=choices.latent_dim or preset["latent_dim"],
            mapping_layers=choices.mapping_layers,
            channels=channels,
        )
    except ValueError as error:
        raise ConfigError(f"--size {size}, --channels: {error}") from error


def constants(choices: StyleGAN2Choices, start: HubStart | None) -> HubOptions:
    """The training's constants, preset and own choices together. :raises UsageError: a number out of range."""
    preset = choices.of_preset(PRESETS)
    rate = preset["learning_rate"] if choices.learning_rate is None else choices.learning_rate
    gamma = preset["r1_gamma"] if choices.r1_gamma is None else choices.r1_gamma
    mixing = HubOptions.style_mixing if choices.style_mixing is None else choices.style_mixing
    weight = preset["path_length_weight"] if choices.path_length is None else 2.0 * choices.path_length
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
        noise=preset["noise"] if choices.noise is None else choices.noise,
        **choices.judging(preset["augment_images"]),
        discriminator_warmup=_warmup(choices, start),
        # The start's weights are good, so the average keeps them from the first step on.
        average_rampup=HubOptions.average_rampup if start is None else None,
    )


def _warmup(choices: StyleGAN2Choices, start: HubStart | None) -> int:
    for option in ("discriminator_warmup", "discriminator_from"):
        if getattr(choices, option) is not None and start is None:
            raise UsageError(f"{flag(option)} is for trainings that --start-from a hub: leave it out")
    if start is None:
        default = 0
    elif choices.critic == "stylegan2":
        default = start.warmup
    elif choices.discriminator_from is None:
        default = WARMUP_IMAGES  # no hub keeps another critic
    else:
        raise UsageError(f"--discriminator-from gives a StyleGAN2 discriminator, --critic is {choices.critic}")
    return default if choices.discriminator_warmup is None else choices.discriminator_warmup


def _check_fits_start(choices: StyleGAN2Choices, config: StyleGAN2Config) -> None:
    for option, given, held in (
        ("--size", choices.size, config.size),
        ("--latent-dim", choices.latent_dim, config.latent_dim),
        ("--channels", choices.channels, config.channels_of),
    ):
        if given not in (None, held):
            raise UsageError(f"{option}: hub {choices.start_from}, where the training starts, has {held}, not {given}")
